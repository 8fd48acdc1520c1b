/**
 * Token data on the host: datasets, their split, and batches of them.
 *
 * <p>Start at {@link dev.sequent.train.data.TokenDataset} and {@link dev.sequent.train.data.RandomWindows}.
 *
 * <p>Invariants: a {@link dev.sequent.train.data.BatchSource} is a function of the batch's index, so that the position in the data is one
 * number and training resumes with exactly the batches that an uninterrupted run would have seen; targets of
 * {@value dev.sequent.train.data.TokenBatch#IGNORE} do not count; every id that leaves a dataset lies inside its vocabulary.
 *
 * <pre>{@code
 * String text = TextFiles.read(Path.of("dickens.txt"));
 * CharTokenizer tokenizer = CharTokenizer.of(text);
 * TokenDataset.Split split = TokenDataset.of(tokenizer, text).split(0.1);
 * BatchSource training = new RandomWindows(split.train(), 12, 64, 1337);
 * for (long step = 0; step < 1000; step++) {
 *     TokenBatch batch = training.batch(step);
 * }
 * for (TokenBatch batch : new SequentialBatches(split.validation(), 12, 64)) {
 *     ...
 * }
 * }</pre>
 *
 * <p>Not here: tensors and devices, models, losses, and tokenizers.
 */
package dev.sequent.train.data;
