/**
 * Files and text: JSON, safetensors checkpoints, and tokenizers.
 *
 * <p>Start at {@link dev.sequent.io.WeightStore} to read a checkpoint, at {@link dev.sequent.io.TensorFiles} to move tensors between
 * files and devices, at {@link dev.sequent.io.Json} and {@link dev.sequent.io.JsonView} for configurations, and at
 * {@link dev.sequent.io.Tokenizer} for text.
 *
 * <p>Invariants: whatever a file contains, reading it ends in a value or in one {@link dev.sequent.type.CheckpointException},
 * {@link dev.sequent.type.ConfigException} or {@link dev.sequent.type.DataException} that says what was expected and what was there; sizes
 * in a file are checked against the file before memory is allocated for them; a file that is written replaces the old one
 * completely or not at all ({@link dev.sequent.io.AtomicFiles}).
 *
 * <pre>{@code
 * try (WeightStore weights = WeightStore.open(Path.of("checkpoint"))) {
 *     for (StoredTensor t : weights.tensors()) {
 *         System.out.println(t.name() + " " + t.dtype() + " " + t.shape());
 *     }
 * }
 * Json config = Json.read(Path.of("checkpoint/config.json"), 1 << 20, Json.Dialect.PYTHON, ConfigException::new);
 * int width = JsonView.of(config, "config.json", ConfigException::new).at("hidden_size").asInt(1, 1 << 20);
 * }</pre>
 *
 * <p>Not here: what the keys of a configuration mean and which tensor goes where (model families), batches for training
 * ({@code dev.sequent.train.data}), and anything that needs a library.
 */
package dev.sequent.io;
