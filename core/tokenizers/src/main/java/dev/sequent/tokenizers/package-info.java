/**
 * Hugging Face {@code tokenizer.json} files, read by the native tokenizers library that DJL packages.
 *
 * <p>Start at {@link dev.sequent.tokenizers.HuggingFaceTokenizer#load}. The native library is unpacked and loaded with the first
 * tokenizer; nothing is ever downloaded.
 *
 * <pre>{@code
 * try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.load(Path.of("checkpoint"))) {
 *     int[] ids = tokenizer.encode("state spaces and attention");
 *     String text = tokenizer.decode(ids);
 * }
 * }</pre>
 *
 * <p>Not here: byte and character tokenizers, which need no library ({@code dev.sequent.io}).
 */
package dev.sequent.tokenizers;
