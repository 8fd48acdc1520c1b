package dev.sequent.ssm.scan;

import dev.sequent.fused.RowMath;
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
     * over j from t on to before {@code rows}. No token depends on others than those, even by a NaN. Rows of
     * {@code out} from {@code rows} up to a multiple of {@link DualLayout#ROWS} have no meaning.
     *
     * @param a row n begins at {@code aAt + n aRow}
     * @param state (states, panel)
     * @param mix (TILE, TILE), zero where it is not read
     * @param x (rows, panel)
     * @param finite whether all of x is finite
     * @param out rows of {@code panel} numbers, {@code outRow} apart
     */
    void read(int panel, float[] a, int aAt, int aRow, int states, float[] state, int stateAt, float[] factors, int factorsAt, float[] mix,
            boolean finite, int rows, float[] x, int xAt, MemorySegment out, int outRow);

    /**
     * {@code to[n] = decay from[n] + sum over t below rows of a[t, n] x[t]}.
     *
     * @param a row t begins at {@code aAt + t aRow}
     * @param x (TILE, panel)
     * @param from (states, panel)
     * @param to (states, panel); may be {@code from}
     */
    void advance(int panel, float[] a, int aAt, int aRow, int rows, float[] x, int xAt, float[] from, int fromAt, float[] to, int toAt,
            int states, float decay);

    /**
     * {@code out = a columns}.
     *
     * @param a {@code rows} rows in {@code panels} panels, which begin {@code aPanel} apart; rows a multiple of TILE
     * @param columns (panels panel, TILE)
     * @param out (rows, TILE)
     */
    void project(int panel, int panels, float[] a, int aAt, int aPanel, int rows, float[] columns, float[] out);

    /**
     * Copies {@code rows} rows of {@code columns} numbers to rows of {@code panel} numbers from {@code at} on, as they are and times
     * {@code factors} from {@code factorsAt} on; zero beyond {@code columns}.
     *
     * @return whether all numbers are finite
     */
    boolean pack(MemorySegment x, int xRow, int rows, int columns, int panel, float[] factors, int factorsAt, float[] plain,
            float[] scaled, int at);

    /** Copies {@code rows} rows of {@code columns} numbers, which begin {@code fromRow} and {@code toRow} apart. */
    void copy(MemorySegment from, int fromRow, int rows, int columns, MemorySegment to, int toRow);

    /**
     * {@code l[t, j]} = the product of the decays of tokens j + 1 to t, for t at least j, and {@code s = m l}; both (TILE, TILE) and zero
     * elsewhere, {@code m} from {@code mAt}.
     *
     * @param decay from {@code from} on
     */
    void weights(float[] m, int mAt, float[] decay, int from, int rows, float[] l, float[] s);

    /**
     * What follows from the gradient of step size times input for a panel of rows: {@code dx[t] = steps[t] drive[t] + skip dy[t]}, and
     * {@code driveDots[t]} and {@code skipDots[t]} grow by the inner products of {@code x[t]} with {@code drive[t]} and {@code dy[t]}.
     *
     * @param drive (rows, panel)
     * @param x (rows, panel) from {@code at} on, as is {@code dy}
     * @param columns columns that are there
     */
    void inputGradients(MemorySegment drive, float[] x, float[] dy, int at, int panel, float[] steps, int stepsAt, float skip, int rows,
            int columns, MemorySegment dx, int dxRow, float[] driveDots, float[] skipDots);

    /** The inner product of {@code count} numbers from {@code at} on, a multiple of TILE {@link DualLayout#ROWS}. */
    float dot(float[] x, float[] y, int at, int count);

    /**
     * {@code out} (columns, TILE) = the transpose of {@code x} (rows, columns) whose row t is multiplied by {@code factors[t]}; zero from
     * column {@code rows} on.
     */
    void transpose(float[] x, int xAt, int rows, int columns, float[] factors, int factorsAt, float[] out, int outAt);

    /**
     * Adds {@code factors[t] x[n, t]} for the first {@code rows} t to {@code total[n, t]}, and fills {@code sums[t]} with the sum over n of
     * that times {@code weights[n, t]}.
     *
     * @param x (states, TILE)
     * @param weights rows {@code rows} apart
     * @param total rows {@code row} apart
     */
    void collect(float[] x, int states, float[] factors, int factorsAt, int rows, float[] weights, int weightsAt, float[] total,
            int totalAt, int row, float[] sums);

    /** {@code total[i] += l[i] k[i]} for {@code count} numbers, a multiple of TILE. */
    void addProducts(float[] l, float[] k, int count, float[] total, int totalAt);

    /** Additions of rows, for sums of partial gradients. */
    RowMath rowMath();
}
