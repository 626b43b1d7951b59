"""OpenAI's chat messages as history and back: `convert` has the two functions, the other files are their parts."""
