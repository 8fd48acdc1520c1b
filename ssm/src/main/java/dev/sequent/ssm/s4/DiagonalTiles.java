package dev.sequent.ssm.s4;

import java.lang.foreign.MemorySegment;

/**
 * The inner loops of a {@link DiagonalScan} on some tokens of one block of {@link #width} channels. Stateless and thread-safe.
 *
 * <p>The state that is carried is g = h / b, which the input drives as it is: g_t = a g_{t-1} + u_t and y_t = sum_p Re(w_p g_t) with
 * w = 2 c b. Backward, m_t = dy_t + conj(a) m_{t+1} takes the same form; the derivative by g is conj(w) m.
 *
 * <p>Coefficients are {@link #FIELDS} arrays of {@code count} floats one behind the other; within each, lanes are channels, then come the
 * pairs, padded to whole quads. A state is, for each pair, a row of real and a row of imaginary parts. Pairs are treated four at a time, so
 * that their coefficients and states stay in registers while the loop walks over the tokens; the results of quads are added up in ascending
 * order.
 */
interface DiagonalTiles {
    /** Pairs that are treated together. */
    int QUAD = 4;

    // Arrays of coefficients.
    int A_RE = 0;
    int A_IM = 1;
    int W_RE = 2;
    int W_IM = 3;
    int B_RE = 4;
    int B_IM = 5;
    /** 2 c. */
    int C_RE = 6;
    int C_IM = 7;
    /** A of the continuous system. */
    int S_RE = 8;
    int S_IM = 9;
    /** dt. */
    int STEP = 10;
    /** Number of arrays of coefficients. */
    int FIELDS = 11;

    // Arrays of sums over the tokens that derivatives by the coefficients are made of.
    /** Of m_t conj(g_{t-1}). */
    int SUM_A_RE = 0;
    int SUM_A_IM = 1;
    /** Of m_t u_t. */
    int SUM_B_RE = 2;
    int SUM_B_IM = 3;
    /** Of dy_t conj(g_t). */
    int SUM_W_RE = 4;
    int SUM_W_IM = 5;
    /** Number of arrays of sums. */
    int SUMS = 6;

    // What {@link #parameterGradients} leaves in their place.
    int GRAD_DECAY = 0;
    int GRAD_FREQUENCY = 1;
    int GRAD_C_RE = 2;
    int GRAD_C_IM = 3;
    /** By the logarithm of the step size, still to be summed over the pairs. */
    int GRAD_STEP = 4;

    /**
     * Magnitude below which b and 2 c are replaced by it, so that h / b and the derivative by the final state over c stay finite. Next to
     * states and outputs of any size the difference is nothing.
     */
    float SMALLEST = 1e-18f;

    /** Channels of a block. */
    int width();

    /**
     * Fills elements [from, to) of all arrays of coefficients, given the logarithm of the negated real part of A in {@link #S_RE}, its
     * imaginary part in {@link #S_IM}, the logarithm of dt in {@link #STEP}, and c in {@link #C_RE} and {@link #C_IM}.
     *
     * @param count length of each array
     * @param from a multiple of {@link #width}
     * @param to a multiple of {@link #width}, at most {@code count}
     */
    void discretise(MemorySegment fields, int count, int from, int to, boolean bilinear);

    /** Copies {@code rows} rows of {@link #width} elements, {@code stride} elements apart, to neighbouring ones. */
    void gather(MemorySegment source, int stride, int rows, MemorySegment target);

    /** The opposite of {@link #gather}. */
    void scatter(MemorySegment source, int rows, MemorySegment target, int stride);

    /** target[t] = factor source[t] for {@code rows} rows. */
    void scale(MemorySegment source, MemorySegment factor, int rows, MemorySegment target);

    /** target[t] += source[t] for {@code rows} rows. */
    void add(MemorySegment source, int rows, MemorySegment target);

    /** sum += x[t] y[t], over {@code rows} rows in ascending order. */
    void addProducts(MemorySegment x, MemorySegment y, int rows, MemorySegment sum);

    /** Runs one quad over rows [from, to): updates its state, and adds its share to {@code y}. */
    void scan(MemorySegment fields, int count, int quad, MemorySegment state, MemorySegment u, MemorySegment y, int from, int to);

    /** As {@link #scan}, but keeps the states before each row in {@code history}, and adds to {@link #SUM_W_RE} and {@link #SUM_W_IM}. */
    void replay(MemorySegment fields, int count, int quad, MemorySegment state, MemorySegment u, MemorySegment dy, MemorySegment history,
            MemorySegment sums, int from, int to);

    /**
     * Runs one quad's adjoint over rows [from, to) backward: updates {@code carry}, conj(a) m of the row behind, and adds to {@code du} and
     * to the sums of A and B. Overwrites {@code history}.
     */
    void reverse(MemorySegment fields, int count, int quad, MemorySegment carry, MemorySegment u, MemorySegment dy, MemorySegment history,
            MemorySegment sums, MemorySegment du, int from, int to);

    /** Turns sums into the derivatives by logDecay, frequency, c and logStep, in their place. */
    void parameterGradients(MemorySegment fields, int count, boolean bilinear, MemorySegment sums);

    // One token: pairs are neighbours in memory here, those of one channel and then those of the next.

    /**
     * Writes the value of each channel once for each of its pairs.
     *
     * @param target channels x pairs elements and a {@link #width} behind them, which may be overwritten
     */
    void spread(MemorySegment values, int channels, int pairs, MemorySegment target);

    /** Separates {@code size} complex numbers into their real and imaginary parts. */
    void parts(MemorySegment numbers, int size, MemorySegment re, MemorySegment im);

    /**
     * h = a h + b u for {@code size} pairs, a multiple of {@link #width}.
     *
     * @param u the input of every pair
     * @param stateRe real parts of h, overwritten
     * @param stateIm imaginary parts of h, overwritten
     * @param shares receives Re(2 c h)
     */
    void step(MemorySegment fields, int count, int size, MemorySegment u, MemorySegment stateRe, MemorySegment stateIm,
            MemorySegment shares);

    /** The sum over the pairs of each channel. */
    void sums(MemorySegment shares, int channels, int pairs, MemorySegment target);
}
