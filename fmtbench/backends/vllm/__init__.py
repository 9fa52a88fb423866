"""vLLM: the backend, its setup, its masks, and the engine in a process of its own. Importing this imports no vLLM."""
