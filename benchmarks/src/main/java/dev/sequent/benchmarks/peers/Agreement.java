package dev.sequent.benchmarks.peers;

import java.util.Arrays;

/** Whether both sides compute the same: calls that return numbers, such as the loss of training steps, return equal ones. */
final class Agreement {
    /** So many calls see the first loss, its gradient, and what the optimizer made of it twice. */
    private static final int CALLS = 3;

    private Agreement() {}

    /**
     * Makes the first calls on both sides.
     *
     * @param tolerance largest relative difference between the numbers that they return
     * @throws IllegalStateException when they differ by more; numbers that a side does not return are not compared
     */
    static void check(Subject ours, Peer peer, double tolerance) {
        double[] theirs = peer.values(CALLS);
        if (Arrays.stream(theirs).allMatch(Double::isNaN)) {
            return;
        }
        for (int i = 0; i < CALLS; i++) {
            double value = ours.call().getAsDouble();
            // a NaN of ours is no agreement
            if (!Double.isNaN(theirs[i]) && !(Math.abs(value - theirs[i]) <= tolerance * Math.abs(theirs[i]))) {
                throw new IllegalStateException("call " + (i + 1) + ": expected " + theirs[i] + " as in the peer, given " + value);
            }
        }
    }
}
