package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Step sizes and decays of a chunk's tokens of one head, cut into runs of tokens whose decays multiply to a number that is neither small
 * nor large: a {@link DualScan} divides by it. A strong decay, one that grows, one that is not a number and the beginning of a document
 * all begin a run, whose first decay multiplies the state itself; so nothing underflows, and nothing overflows that is not within a factor
 * of {@link #LARGEST} of it anyway. Not thread-safe.
 */
final class DualSteps {
    /** Bounds of a run's product of decays; between them lie the decays of about a hundred tokens of an ordinary head. */
    private static final float LARGEST = 1 << 20;
    private static final float SMALLEST = 1 / LARGEST;
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    final float[] dt;
    final float[] decay;
    /** Product of the decays of a run's tokens after its first one, up to and with each token. */
    final float[] since;
    /** Step size, and D, divided by {@link #since}. */
    final float[] weights;
    final float[] direct;
    /** First tokens of the runs, and one past the last token. */
    private final int[] starts;
    private int runs;

    DualSteps(DualLayout layout) {
        int tokens = layout.chunkRow();
        dt = DualScratch.take(tokens);
        decay = DualScratch.take(tokens);
        since = DualScratch.take(tokens);
        weights = DualScratch.take(tokens);
        direct = DualScratch.take(tokens);
        starts = new int[layout.chunk() + 1];
    }

    /** Reads the step sizes of {@code count} tokens from {@code token} on and forms their decays. */
    void read(DualScan loops, DualInputs in, int batch, int head, int token, int count) {
        MemorySegment from = in.dt().slice(batch, token, count, head, 1);
        long stride = in.dt().tokenStride();
        for (int t = 0; t < count; t++) {
            dt[t] = from.getAtIndex(F32, t * stride);
        }
        for (int t = 0; in.flags() != null && t < count; t++) {
            dt[t] = in.has(batch, token + t, ScanInputs.SKIP) ? 0 : dt[t];
        }
        loops.decays(dt, in.a().getAtIndex(F32, head), count, decay);
    }

    /** {@link #read}, and cuts the tokens into runs. */
    void form(DualScan loops, DualInputs in, int batch, int head, int token, int count) {
        read(loops, in, batch, head, token, count);
        runs = 0;
        float product = 0;
        for (int t = 0; t < count; t++) {
            product *= decay[t];
            if (!(product >= SMALLEST && product <= LARGEST) || in.has(batch, token + t, ScanInputs.RESET)) {
                starts[runs++] = t;
                product = 1;
            }
            since[t] = product;
        }
        starts[runs] = count;
        float skip = in.skip() == null ? 0 : in.skip().getAtIndex(F32, head);
        for (int t = 0; t < count; t++) {
            weights[t] = dt[t] / since[t];
            direct[t] = skip / since[t];
        }
    }

    /** Number of runs. */
    int runs() {
        return runs;
    }

    /** First token of a run. */
    int start(int run) {
        return starts[run];
    }

    /** One past the last token of a run. */
    int end(int run) {
        return starts[run + 1];
    }

    /** By what the state before a run is multiplied. */
    float first(int run) {
        return decay[starts[run]];
    }

    /** By what the state of a run is multiplied after it. */
    float last(int run) {
        return since[starts[run + 1] - 1];
    }
}
