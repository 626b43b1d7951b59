"""Speed against a bare pydantic-ai agent, as ratios of calls that alternate in one process."""
