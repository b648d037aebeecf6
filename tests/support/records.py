"""The machine and the versions that made-up records of benchmarks name."""

MACHINE = {
    "processor": "A",
    "cores": 2,
    "instructions": ["avx2"],
    "torch_uses": "AVX2",
    "memory_gib": 8,
    "system": "Linux",
    "threads": 2,
}
VERSIONS = {"python": "3.11", "torch": "2.13", "peft": "0.21"}
