"""The layers around every model request, one behaviour a file; `assembly` has their order, and `seat` their place."""
