package dev.sequent.op;

/** Reductions along axes, and cumulative forms of them along one axis. */
public enum ReduceOp {
    SUM(0), PROD(1), MAX(Double.NEGATIVE_INFINITY), MIN(Double.POSITIVE_INFINITY);

    private final double identity;

    ReduceOp(double identity) {
        this.identity = identity;
    }

    /** Value of an empty reduction. */
    public double identity() {
        return identity;
    }

    /** Combines a partial result with one more element. */
    public double apply(double a, double b) {
        return switch (this) {
            case SUM -> a + b;
            case PROD -> a * b;
            case MAX -> Math.max(a, b);
            case MIN -> Math.min(a, b);
        };
    }

    /** Combines a partial result with one more I64 element, exactly modulo 2^64. */
    public long applyInteger(long a, long b) {
        return switch (this) {
            case SUM -> a + b;
            case PROD -> a * b;
            case MAX -> Math.max(a, b);
            case MIN -> Math.min(a, b);
        };
    }
}
