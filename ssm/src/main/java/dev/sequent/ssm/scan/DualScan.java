package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;

/**
 * The inner loops of the state-space dual along tokens, for a panel of a head's columns in {@link DualLayout}. Indices are in floats.
 * Stateless and thread-safe.
 *
 * <p>A scan keeps its states divided by the product {@code since} of the decays since the first of its tokens, so that a token costs each
 * state one multiplication and addition for the input and one for the output. {@link DualSteps} bounds that product.
 */
interface DualScan {
    /** {@code out[i] = exp(dt[i] a)}; {@code out} has whole tiles, and what lies beyond {@code count} has no meaning. */
    void decays(float[] dt, float a, int count, float[] out);

    /**
     * Copies rows of B or C to blocks of {@link DualLayout#BLOCK} states: number n of row t goes to
     * {@code to[at + (n / BLOCK * pitch + t) * 2 BLOCK + n % BLOCK]}; zero beyond {@code states} up to a whole block.
     */
    void interleave(MemorySegment from, int row, int rows, int states, float[] to, int at, int pitch);

    /**
     * {@code u[t] = weights[t] x[t]} and {@code y[t] = direct[t] x[t]} for a head's tokens t from {@code from} on to before {@code to};
     * zero beyond their columns.
     *
     * @param x begins at the first of the tokens; rows {@code xRow} apart
     * @param u panels of (chunk, panel)
     * @param y panels of (chunk, panel)
     */
    void drive(DualLayout layout, MemorySegment x, int xRow, int from, int to, float[] weights, float[] direct, MemorySegment u,
            MemorySegment y);

    /**
     * Runs {@link DualLayout#ROWS} states h along tokens: {@code h = first h}, then for each token t from {@code from} on to before
     * {@code to} {@code h = h + b[t] u[t]} and {@code y[t] = y[t] + c[t] h}, then {@code h = last h}.
     *
     * @param matrices b of token t begins at {@code at + t 2 BLOCK}, c at BLOCK after it
     * @param u (chunk, panel) from {@code panelAt} on
     * @param y (chunk, panel) from {@code panelAt} on
     * @param state (ROWS, panel) from {@code stateAt} on
     */
    void scan(int panel, float[] matrices, int at, int from, int to, MemorySegment u, MemorySegment y, int panelAt, float[] state,
            int stateAt, float first, float last);

    /** {@link #scan} without the output, with the same states to the last bit. */
    void carry(int panel, float[] matrices, int at, int from, int to, MemorySegment u, int panelAt, float[] state, int stateAt,
            float first, float last);

    /**
     * {@code out[t] = factors[t] y[t]} for a head's tokens t from {@code from} on to before {@code to}.
     *
     * @param y panels of (chunk, panel)
     * @param out begins at the first of the tokens; rows {@code outRow} apart
     */
    void emit(DualLayout layout, MemorySegment y, float[] factors, int from, int to, MemorySegment out, int outRow);

    /**
     * One token of one head: {@code after[p] = decay before[p] + step x[p] b} and {@code y[p] = after[p] c + skip x[p]}.
     *
     * @param before (P, N), or null for zero; may be {@code after}
     */
    void step(int width, int states, MemorySegment before, MemorySegment after, float decay, float step, MemorySegment x, MemorySegment b,
            MemorySegment c, float skip, MemorySegment y);
}
