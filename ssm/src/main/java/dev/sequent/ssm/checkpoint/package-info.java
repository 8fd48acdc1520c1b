/**
 * Checkpoints of state-space models: {@link dev.sequent.ssm.checkpoint.MambaFamily}, {@link dev.sequent.ssm.checkpoint.Mamba2Family} and
 * the hybrid {@link dev.sequent.ssm.checkpoint.JambaFamily} in the formats of Hugging Face,
 * {@link dev.sequent.ssm.checkpoint.MambaSsmFamily} in that
 * of the original implementation; {@link dev.sequent.model.LanguageModel#load} finds them by itself.
 *
 * <p>Invariants: a key that could change the numbers is understood or an error; what is read is written back; key lists are exact.
 *
 * {@snippet :
 * LanguageModel model = LanguageModel.load(Path.of("mamba-130m-hf"), device);
 * model.save(Path.of("copy"));                 // the same format
 * }
 *
 * <p>Does not belong here: layers, and reading of files.
 */
package dev.sequent.ssm.checkpoint;
