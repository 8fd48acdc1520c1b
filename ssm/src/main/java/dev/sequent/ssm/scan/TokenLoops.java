package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;

/**
 * The inner loops of {@link TokenStepHost}. Arrays have room for {@link #padded} elements, and elements beyond the count may be read and
 * written. Stateless and thread-safe.
 */
interface TokenLoops {
    /** At least {@code count}: so many elements of an array may be touched. */
    int padded(int count);

    /** {@code y = SiLU(y)}. */
    void silu(float[] y, int count);

    /** {@code y = y SiLU(z)}. */
    void gate(float[] y, float[] z, int count);

    /** {@code y = softplus(y)}. */
    void softplus(float[] y, int count);

    /**
     * Rows of a diagonal recurrence: {@code h = exp(-step[e] exp(aLog[e])) h + drive[e] b} and {@code sums[e]} = the
     * inner product of h and c.
     *
     * @param aLog (channels, states)
     * @param h (channels, states)
     */
    void select(int channels, int states, float[] step, float[] drive, MemorySegment aLog, float[] b, float[] c, MemorySegment h,
            float[] sums);

    /**
     * One head: row p of {@code h} becomes {@code decay h + step x[p] b}, and {@code sums[p]} its inner product with c.
     *
     * @param h (width, states)
     */
    void advance(int width, int states, float decay, float step, float[] x, float[] b, float[] c, MemorySegment h, float[] sums);
}
