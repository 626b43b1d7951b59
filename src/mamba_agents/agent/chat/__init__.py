"""OpenAI's chat messages as history and back: `message_utils` has the two functions, these are their parts."""
