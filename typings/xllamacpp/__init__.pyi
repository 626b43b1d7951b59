class CommonParamsModel:
    path: str

class CpuParams:
    n_threads: int

class CommonParamsSampling:
    penalty_repeat: float

class CommonParams:
    model: CommonParamsModel
    model_alias: set[str]
    api_keys: list[str]
    n_ctx: int
    n_parallel: int
    n_batch: int
    cpuparams: CpuParams
    cpuparams_batch: CpuParams
    sampling: CommonParamsSampling
    sse_ping_interval: int
    cache_ram_mib: int
    verbosity: int
    ui: bool
    endpoint_slots: bool
    fit_params: bool
    warmup: bool

class Server:
    def __init__(self, params: CommonParams) -> None: ...
    @property
    def listening_address(self) -> str: ...
