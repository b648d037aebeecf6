// The memory of a training step by arithmetic, as lora_edu/budget/memory.py has it.

export const METHODS = ["full", "lora", "qlora"];
export const PARTS = ["weights", "gradients", "optimizer", "activations"];

/** Tokens a row, cut at the model's context. */
export function tokensRead(state, data) {
  return Math.min(state.length_tokens, data.shapes[state.model].context);
}

/** The bytes of each method's parts, and their total. */
export function budgets(state, data) {
  const shape = data.shapes[state.model];
  const all = shape.layers.map(([target]) => target), inBlocks = all.filter(target => target !== "head");
  const targets = state.target_set === data.target_sets[0] ? ["query", "value"] : inBlocks;
  const [weight, gradient, optimizer, activation, autocast] = data.storages[state.storage];
  const adapters = shape.layers.filter(([target]) => targets.includes(target))
    .reduce((sum, [, m, n, copies]) => sum + copies * state.rank * (m + n), 0);
  const inBits = shape.layers.filter(([target]) => target !== "head").reduce((sum, [, m, n, copies]) => sum + copies * m * n, 0);
  const budget = method => {
    const full = method === "full", quantized = method === "qlora" ? inBits : 0;
    const learning = full ? shape.parameters : adapters;
    const plain = shape.parameters + (full ? 0 : adapters) - quantized;
    const trained = full ? all : targets, tokens = tokensRead(state, data);
    const rounded = inBits - quantized + (full ? 0 : adapters);
    const row = {
      weights: plain * weight + (quantized * data.nf4_bits) / 8,
      gradients: learning * gradient,
      optimizer: learning * optimizer,
      activations: activations(shape, trained, full ? 0 : state.rank, activation, state, tokens)
        + (autocast ? autocastKeeps(shape, trained, rounded, activation, state, tokens) : 0),
    };
    return { ...row, total: row.weights + row.gradients + row.optimizer + row.activations };
  };
  return Object.fromEntries(METHODS.map(method => [method, budget(method)]));
}

function activations(shape, trained, rank, bytes, { batch_size, checkpointing }, tokens) {
  const block = blockActivations(shape, trained.filter(target => target !== "head"), rank);
  const kept = (checkpointing ? shape.blocks * shape.width + block : shape.blocks * block) + shape.width * (trained.includes("head") ? 2 : 1);
  return batch_size * tokens * (kept * bytes + 4 * shape.vocabulary);
}

/** What autocast keeps on top: the norms read float32, each product its own rounded input and weight. */
function autocastKeeps({ width, blocks }, trained, rounded, bytes, { batch_size, checkpointing }, tokens) {
  const copies = trained.filter(target => ["query", "key", "value"].includes(target)).length;
  const inBlock = 2 * width * (4 - bytes) + width * Math.max(0, copies - 1) * bytes;
  const kept = checkpointing ? 1 : blocks;
  return kept * batch_size * tokens * inBlock + (rounded * bytes * kept) / blocks;
}

/** Numbers that one block keeps a token: a linear layer its input, if it or its adapter learns. */
function blockActivations({ width, kv, heads, mlp, gpt }, trained, rank) {
  const any = (...targets) => targets.some(target => trained.includes(target)) ? 1 : 0;
  const inputs = width * any("query", "key", "value") + width * any("gate", "fc_in") + mlp * any("fc_out");
  return 2 * width + (2 * width + 2 * kv + heads) + (gpt ? mlp : 3 * mlp) + inputs + rank * trained.length;
}
