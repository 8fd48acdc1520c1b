/**
 * Checkpoints of Transformers in the formats of Hugging Face: {@link dev.sequent.transformer.checkpoint.Gpt2Family},
 * {@link dev.sequent.transformer.checkpoint.LlamaFamily} and {@link dev.sequent.transformer.checkpoint.MistralFamily}, which
 * {@link dev.sequent.model.LanguageModel#load} finds by itself.
 *
 * <p>Invariants: a key that could change the numbers is understood or an error; what is read is written back; key lists are exact.
 *
 * {@snippet :
 * LanguageModel model = LanguageModel.load(Path.of("gpt2"), device);
 * model.save(Path.of("copy"));                 // the same format
 * }
 *
 * <p>Does not belong here: layers, and reading of files.
 */
package dev.sequent.transformer.checkpoint;
