package dev.sequent.ssm.scan;

/**
 * The states [from, to) out of {@code count}, which a task of a scan treats. Sums over the states are started by the first range and
 * continued by the others.
 */
record StateRange(int from, int to, int count) {
    boolean isFirst() {
        return from == 0;
    }

    boolean isLast() {
        return to == count;
    }
}
