/**
 * Text from a model: {@link dev.sequent.generate.Generator} feeds prompts and continues them token by token,
 * {@link dev.sequent.generate.Sampling} says how tokens are chosen.
 *
 * <p>Invariants: a prompt costs memory for one chunk, not for its length; the same seed gives the same tokens; rows of a batch do not
 * influence each other. Beyond choosing tokens nothing here knows of text: tokenizers are in {@code dev.sequent.io}.
 *
 * <pre>{@code
 * Generator generator = new Generator(model);
 * generator.text(tokenizer, "It was", 200, Sampling.temperature(0.8, 1).withTopP(0.95), System.out::print);
 * }</pre>
 */
package dev.sequent.generate;
