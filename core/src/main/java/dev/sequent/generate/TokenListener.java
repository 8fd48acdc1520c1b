package dev.sequent.generate;

/** Watches tokens as they are generated. */
@FunctionalInterface
public interface TokenListener {
    /**
     * Called for every new token, rows in ascending order.
     *
     * @return false to end this row's generation
     */
    boolean token(int row, int id);
}
