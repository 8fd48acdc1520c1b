package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;

/**
 * The inner loops of the state-space dual: products of small matrices in {@link DualLayout}, and what is done to their rows. Indices are in
 * floats. Stateless and thread-safe.
 */
interface DualTiles {
    /**
     * {@code out = beta out + a b}, or {@code out = a b} if {@code fresh}: {@code rows} rows (a multiple of {@link DualLayout#ROWS}) of one
     * panel.
     *
     * @param a rows of k numbers, {@code aRow} apart
     * @param b k rows of {@code panel} numbers, {@code bRow} apart
     * @param out rows of {@code panel} numbers without gaps
     */
    void multiply(int panel, float[] a, int aAt, int aRow, int k, float[] b, int bAt, int bRow, float[] out, int outAt,
            int rows, boolean fresh, float beta);

    /**
     * Row t of out is the sum of s[t, j] times row j of b over j at most t, or at least t if {@code upper}, below {@code rows}. What stands
     * on the other side of the diagonal is not read, so that no token depends on a later one even by a NaN.
     *
     * @param s (TILE, TILE)
     */
    void triangle(int panel, float[] s, boolean upper, int rows, float[] b, int bAt, float[] out, int outAt);

    /** {@code out[i] = exp(dt[i] a)}. */
    void decays(float[] dt, float a, int count, float[] out);

    /**
     * {@code l[t, j]} = the product of the decays of tokens j + 1 to t, for t at least j, and {@code s = m l}; both (TILE, TILE), {@code m}
     * from
     * {@code mAt}. Above the diagonal they have no meaning.
     *
     * @param decay from {@code from} on
     */
    void weights(float[] m, int mAt, float[] decay, int from, int rows, float[] l, float[] s);

    /** {@code out[t] = factors[t] x[t]}, rows of {@code width} numbers. */
    void scale(MemorySegment x, int xAt, int xRow, float[] factors, int rows, int width, float[] out, int outAt, int outRow);

    /** The same for rows in working memory. */
    void scale(float[] x, int xAt, int xRow, float[] factors, int rows, int width, float[] out, int outAt, int outRow);

    /** {@code out[t] = factors[t] x[t] + factor y[t]}, rows of {@code width} numbers. */
    void combine(float[] x, int xAt, int xRow, float[] factors, MemorySegment y, int yAt, int yRow, float factor, int rows, int width,
            MemorySegment out, int outAt, int outRow);

    /** {@code sums[t]} grows by the inner product of {@code x[t]} and {@code y[t]}, rows of {@code width} numbers. */
    void dots(MemorySegment x, int xAt, int xRow, float[] y, int yAt, int yRow, int rows, int width, float[] sums);

    /** The inner product of {@code count} numbers. */
    float dot(float[] x, int xAt, float[] y, int yAt, int count);

    /** {@code out} (columns, TILE) = the transpose of {@code x} (TILE, columns), without gaps. */
    void transpose(float[] x, int xAt, int columns, float[] out, int outAt);

    /**
     * Adds {@code factors[t] x[n, t]} for the first {@code rows} t to {@code total[n, t]}, and fills {@code sums[t]} with the sum over n of
     * that times
     * {@code weights[n, t]}.
     *
     * @param x (states, TILE)
     * @param weights rows {@code row} apart
     * @param total rows {@code row} apart
     */
    void collect(float[] x, int states, float[] factors, int rows, float[] weights, int weightsAt, float[] total,
            int totalAt, int row, float[] sums);

    /** {@code total[i] += l[i] k[i]} for {@code count} numbers, a multiple of TILE. */
    void addProducts(float[] l, float[] k, int count, float[] total, int totalAt);

    /** {@code out += factor x} for {@code count} numbers. */
    void add(float factor, float[] x, int xAt, int count, float[] out, int outAt);

    /**
     * One token of one head: {@code after[p] = decay before[p] + step x[p] b} and {@code y[p] = after[p] c + skip x[p]}.
     *
     * @param before (P, N), or null for zero; may be {@code after}
     */
    void step(int width, int states, MemorySegment before, MemorySegment after, float decay, float step, MemorySegment x, MemorySegment b,
            MemorySegment c, float skip, MemorySegment y);
}
