/**
 * Text from a model: {@link dev.sequent.generate.Generator} feeds prompts and continues them token by token, one token drawn at a time;
 * {@link dev.sequent.generate.BeamSearch} looks for the most likely continuations.
 *
 * <p>How tokens are chosen: {@link dev.sequent.generate.Sampling} in numbers, and {@link dev.sequent.generate.LogitsProcessor}s, the usual
 * ones of which are in {@link dev.sequent.generate.LogitsProcessors}. What comes out: {@link dev.sequent.generate.Continuation}, and
 * {@link dev.sequent.generate.TextContinuation} where a tokenizer is given.
 *
 * <p>Invariants: a prompt costs memory for one chunk, not for its length; the same seed gives the same tokens; rows of a batch do not
 * influence each other; a processor has no state of its own. Beyond stop texts nothing here knows of text: tokenizers are in
 * {@code dev.sequent.io}.
 *
 * <pre>{@code
 * Generator generator = new Generator(model);
 * generator.text(tokenizer, "It was", 200, Sampling.temperature(0.8, 1).withTopP(0.95), System.out::print);
 *
 * Generator.Request request = new Generator.Request(200, Sampling.temperature(0.8, 1), Set.of(end)).withStopTexts("\n\n");
 * List<TextContinuation> texts = generator.texts(tokenizer, List.of("It was", "She"), request, (row, piece) -> true);
 * }</pre>
 */
package dev.sequent.generate;
