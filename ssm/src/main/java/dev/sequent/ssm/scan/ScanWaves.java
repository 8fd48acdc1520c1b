package dev.sequent.ssm.scan;

import dev.sequent.spi.Parallel;

/**
 * How a scan of few channels occupies many threads: states are cut into pieces and tokens into windows, and a piece treats a window as soon
 * as the piece before it is done with that window. Pieces depend on each other only by sums over the states, which the next piece continues
 * where they were left; all sums are then formed in the order in which one task would have formed them, so this choice may depend on the
 * number of threads. No arithmetic is done twice but that of every token and channel (the step size's activation).
 *
 * @param pieces pieces of the states; 1 where tasks go over all states and tokens
 * @param size states of a piece; the last one may have fewer
 * @param windows windows of the tokens
 * @param window tokens of a window; the last one may have fewer
 */
record ScanWaves(int pieces, int size, int windows, int window) {
    /** Most tokens of a window. */
    private static final int WINDOW = 512;
    /** Fewest states of a piece. */
    private static final int LEAST = 2;
    /** What a task costs for every token and channel beyond its states, in states. */
    private static final int PASSES = 2;
    /** What starting a task costs: packing of A and the state, and waiting for the slowest one; in tokens and states. */
    private static final int START = 600;
    /** Part of the time that must remain at most for pieces to be worth it. */
    private static final double GAIN = 0.8;

    /** Which share of the work a task does. */
    @FunctionalInterface
    interface Body {
        /** Runs the states [from, to) of window {@code window}, numbered in the order of their treatment. */
        void run(int row, int from, int to, int window);
    }

    /** One piece over all tokens. */
    static ScanWaves whole(ScanShape shape) {
        return new ScanWaves(1, shape.states(), 1, shape.tokens());
    }

    /** Waves for {@code rows} independent tasks over all states and tokens. */
    static ScanWaves of(ScanShape shape, int rows, int threads) {
        int states = shape.states();
        int windows = Math.ceilDiv(shape.tokens(), WINDOW);
        int chunk = SelectiveScanCpu.chunk(states);
        int window = Math.ceilDiv(Math.ceilDiv(shape.tokens(), windows), chunk) * chunk;
        ScanWaves best = whole(shape);
        double least = GAIN * Math.ceilDiv(rows, threads) * shape.tokens() * (states + PASSES);
        int size = states;
        while (threads > 1 && windows > 1 && size > LEAST) {
            size = Math.ceilDiv(size, 2);
            int pieces = Math.ceilDiv(states, size);
            double wave = (double) Math.ceilDiv(rows * pieces, threads) * (window * (size + PASSES) + START);
            double time = (windows + pieces - 1) * wave;
            if (time < least) {
                least = time;
                best = new ScanWaves(pieces, size, Math.ceilDiv(shape.tokens(), window), window);
            }
        }
        return best;
    }

    boolean isSplit() {
        return pieces > 1;
    }

    /** Runs {@code body} for all pieces and windows of {@code rows} independent rows. */
    void forEach(Parallel pool, int rows, int states, Body body) {
        for (int wave = 0; wave < windows + pieces - 1; wave++) {
            int at = wave;
            int first = Math.max(0, at - windows + 1);
            int active = Math.min(pieces - 1, at) - first + 1;
            pool.forEach(rows * active, task -> {
                int piece = first + task % active;
                body.run(task / active, piece * size, Math.min(states, (piece + 1) * size), at - piece);
            });
        }
    }
}
