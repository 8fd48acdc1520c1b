package dev.sequent.generate;

/** Watches text as it is generated. */
@FunctionalInterface
public interface TextListener {
    /**
     * Called with pieces of whole characters, never empty, as soon as it is certain that they do not belong to a stop text.
     *
     * @return false to end this row's generation; what its tokens still hold back is then part of the result, but not announced
     */
    boolean text(int row, String piece);
}
