/**
 * How attention learns where tokens stand. Start with {@link dev.sequent.transformer.position.RotaryEmbedding}: contract, decomposition and
 * kernels of rotary position embedding. {@link dev.sequent.transformer.position.RotaryFrequencies} is where its kinds differ, and
 * {@link dev.sequent.transformer.position.RopeScaling} extends contexts.
 *
 * <p>Invariants: positions count the tokens of a document, padding not included; the derivative of a rotation is the rotation back.
 *
 * {@snippet :
 * RotaryEmbedding rotary = new RotaryEmbedding(RotaryFrequencies.standard(64, 10_000));
 * Tensor turned = rotary.apply(q, info.positions(null));   // (B, T, H, 64)
 * }
 *
 * <p>Does not belong here: learned position tables, which belong to a model's input ({@code max_position_embeddings}).
 */
package dev.sequent.transformer.position;
