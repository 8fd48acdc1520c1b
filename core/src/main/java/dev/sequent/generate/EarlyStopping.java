package dev.sequent.generate;

/** When a beam search that has enough finished sequences ends; what transformers call {@code early_stopping}. */
public enum EarlyStopping {
    /** As soon as there are as many finished sequences as beams ({@code True}). */
    WHEN_FULL,
    /**
     * When the best unfinished sequence, divided by the penalty of its present length, is no better than the worst finished one
     * ({@code False}, the default there). With a length penalty above 0 a longer sequence could still have become better.
     */
    HEURISTIC,
    /**
     * When no unfinished sequence can become better any more ({@code "never"}): with a length penalty above 0 its score is judged at the
     * greatest length. With length penalty 0 this is beam search as in textbooks.
     */
    NEVER
}
