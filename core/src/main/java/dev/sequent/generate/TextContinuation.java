package dev.sequent.generate;

/**
 * A continuation as text.
 *
 * @param text without the prompt, a stop token, and a stop text with what follows it
 * @param continuation its tokens, those of a stop text included
 */
public record TextContinuation(String text, Continuation continuation) {}
