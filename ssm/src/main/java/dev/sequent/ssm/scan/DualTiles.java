package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;

/**
 * The inner loops of the state-space dual: products of small matrices in {@link DualLayout}, and what is done to their rows. Indices are in
 * floats. Stateless and thread-safe.
 */
interface DualTiles {
    /**
     * {@code out = a b} for matrices of the tile's tokens: TILE rows and columns.
     *
     * @param a rows of k numbers without gaps
     * @param b k rows of TILE numbers, {@code bRow} apart
     */
    void products(float[] a, int aAt, int k, float[] b, int bAt, int bRow, float[] out, int outAt);

    /**
     * What the state and the tile give each token: {@code out[t] = factors[t] (sum over n of a[n, t] state[n]) + sum of mix[j, t] x[j]}
     * over j at most t, or at least t if {@code upper}, below {@code rows}. No token depends on others than those, even by a NaN. Rows of
     * {@code out} from {@code rows} up to a multiple of {@link DualLayout#ROWS} have no meaning.
     *
     * @param a row n begins at {@code aAt + n aRow}
     * @param state (states, panel)
     * @param mix (TILE, TILE), zero where it is not read
     * @param x (TILE, panel), zero from {@code rows} on
     * @param finite whether all of x is finite
     * @param out rows of {@code panel} numbers, {@code outRow} apart
     */
    void read(int panel, float[] a, int aAt, int aRow, int states, float[] state, int stateAt, float[] factors, float[] mix, boolean upper,
            boolean finite, int rows, float[] x, int xAt, MemorySegment out, int outRow);

    /**
     * {@code state[n] = decay state[n] + sum over t below rows of a[t, n] x[t]}.
     *
     * @param a row t begins at {@code aAt + t aRow}
     * @param x (TILE, panel)
     * @param state (states, panel)
     */
    void advance(int panel, float[] a, int aAt, int aRow, int rows, float[] x, int xAt, float[] state, int stateAt, int states,
            float decay);

    /**
     * {@code out = a columns}, or {@code out += a columns}.
     *
     * @param a {@code rows} rows of {@code panel} numbers, a multiple of {@link DualLayout#ROWS}
     * @param columns (panel, TILE)
     * @param out (rows, TILE)
     */
    void project(int panel, float[] a, int aAt, int rows, float[] columns, int columnsAt, float[] out, boolean add);

    /**
     * Copies {@code rows} rows of {@code columns} numbers to rows of {@code panel} numbers, as they are and times {@code factors}; the
     * rest of (TILE, panel) from {@code at} becomes zero.
     *
     * @return whether all numbers are finite
     */
    boolean pack(MemorySegment x, int xRow, int rows, int columns, int panel, float[] factors, float[] plain, float[] scaled, int at);

    /** {@code out[i] = exp(dt[i] a)}. */
    void decays(float[] dt, float a, int count, float[] out);

    /**
     * {@code l[t, j]} = the product of the decays of tokens j + 1 to t, for t at least j, and {@code s = m l}; both (TILE, TILE) and zero
     * elsewhere, {@code m} from {@code mAt}.
     *
     * @param decay from {@code from} on
     */
    void weights(float[] m, int mAt, float[] decay, int from, int rows, float[] l, float[] s);

    /**
     * {@code s[j, t] = steps[j] l[t, j] m[j, t]} for t from j on and zero before, with l as in {@link #weights}, plus {@code skip} where
     * t is j.
     */
    void sourceWeights(float[] m, int mAt, float[] decay, int from, float[] steps, float skip, int rows, float[] s);

    /** {@code out[t] = factors[t] x[t] + factor y[t]}, rows of {@code width} numbers. */
    void combine(MemorySegment x, int xAt, int xRow, float[] factors, MemorySegment y, int yAt, int yRow, float factor, int rows, int width,
            MemorySegment out, int outAt, int outRow);

    /** {@code sums[t]} grows by the inner product of {@code x[t]} and {@code y[t]}, rows of {@code width} numbers. */
    void dots(MemorySegment x, int xAt, int xRow, MemorySegment y, int yAt, int yRow, int rows, int width, float[] sums);

    /** The inner product of {@code count} numbers, a multiple of TILE {@link DualLayout#ROWS}. */
    float dot(float[] x, float[] y, int count);

    /**
     * {@code out} (columns, TILE) = the transpose of {@code x} (TILE, columns) whose row t is multiplied by {@code factors[t]}; both from
     * {@code at}.
     */
    void transpose(float[] x, int at, int columns, float[] factors, float[] out);

    /**
     * Adds {@code factors[t] x[n, t]} for the first {@code rows} t to {@code total[n, t]}, and fills {@code sums[t]} with the sum over n of
     * that times {@code weights[n, t]}.
     *
     * @param x (states, TILE)
     * @param weights rows {@code rows} apart
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
