"""Who says so: the publications that the claims are from, in Markdown."""

LORA = "[Hu et al. 2021](https://arxiv.org/abs/2106.09685)"
RSLORA = "[Kalajdzievski 2023](https://arxiv.org/abs/2312.03732)"
LEARNS_LESS = "[Biderman et al. 2024](https://arxiv.org/abs/2405.09673)"
ILLUSION = "[Shuttleworth et al. 2024](https://arxiv.org/abs/2410.21228)"
NO_REGRET = "[Schulman et al. 2025](https://thinkingmachines.ai/blog/lora/)"
LORA_PLUS = "[Hayou et al. 2024, LoRA+](https://arxiv.org/abs/2402.12354)"
STARTS = "[Hayou et al. 2024, initialization](https://arxiv.org/abs/2406.08447)"
