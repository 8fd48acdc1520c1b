package dev.sequent.benchmarks.peers;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;
import org.apache.commons.math3.stat.descriptive.rank.Percentile;

/**
 * Two sides that run blocks of calls in turn. Between blocks both rest, until the threads of the side that has just run have stopped
 * waiting
 * for more in a loop.
 *
 * @param rounds blocks of each side
 * @param seconds about how long a block lasts
 * @param warmup seconds that each side runs before
 */
record Duel(int rounds, double seconds, double warmup) {
    private static final int MAX_CALLS = 100_000;
    /** Intel's OpenMP lets threads wait actively for 200 ms. */
    private static final long REST_MILLIS = 250;

    /** A side: how it runs a number of calls, and tells the seconds of each. */
    interface Side {
        double[] run(int calls);
    }

    /**
     * Median and quartiles of the times of a call, over rounds.
     *
     * @param perRound the median call of each block
     */
    record Times(double[] perRound) {
        double quantile(double percent) {
            return Duel.quantile(perRound, percent);
        }

        double median() {
            return quantile(50);
        }
    }

    /**
     * What came out.
     *
     * @param ours seconds a call
     * @param theirs seconds a call
     * @param oursIdle processors that our process kept busy while the peer ran; NaN where unknown
     * @param theirsIdle processors that the peer kept busy while we ran; NaN where unknown
     */
    record Outcome(Times ours, Times theirs, double oursIdle, double theirsIdle) {
        /** How many times as long the peer takes, in each round. */
        double[] ratios() {
            double[] r = new double[ours.perRound().length];
            Arrays.setAll(r, i -> theirs.perRound()[i] / ours.perRound()[i]);
            return r;
        }
    }

    static double quantile(double[] values, double percent) {
        return new Percentile().withEstimationType(Percentile.EstimationType.R_7).evaluate(values, percent);
    }

    /** {@code ourTime} and {@code theirTime} tell the processor time used so far in seconds, or NaN. */
    Outcome run(Side ours, Side theirs, java.util.function.DoubleSupplier ourTime, java.util.function.DoubleSupplier theirTime) {
        int ourCalls = warm(ours);
        rest();
        int theirCalls = warm(theirs);
        double[][] medians = new double[2][rounds];
        double[] idle = new double[2];
        double[] awake = new double[2];
        for (int round = 0; round < rounds; round++) {
            for (int k = 0; k < 2; k++) {
                boolean our = (round + k) % 2 == 0; // who begins changes
                rest();
                double before = (our ? theirTime : ourTime).getAsDouble();
                long start = System.nanoTime();
                medians[our ? 0 : 1][round] = quantile((our ? ours : theirs).run(our ? ourCalls : theirCalls), 50);
                awake[our ? 1 : 0] += (System.nanoTime() - start) * 1e-9;
                idle[our ? 1 : 0] += (our ? theirTime : ourTime).getAsDouble() - before;
            }
        }
        return new Outcome(new Times(medians[0]), new Times(medians[1]), idle[0] / awake[0], idle[1] / awake[1]);
    }

    /** Runs for a while; how many calls make a block. */
    private int warm(Side side) {
        long start = System.nanoTime();
        IntFunction<Integer> calls = n -> Math.clamp(Math.round(seconds / Math.max(1e-9, quantile(side.run(n), 50))), 1, MAX_CALLS);
        List<Integer> block = new ArrayList<>(List.of(1));
        do {
            block.add(calls.apply(block.getLast()));
        } while ((System.nanoTime() - start) * 1e-9 < warmup);
        return block.getLast();
    }

    private static void rest() {
        try {
            Thread.sleep(REST_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
