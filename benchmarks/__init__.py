"""How fast fusing, segmenting and scoring are, beside what others offer: `python -m benchmarks`."""
