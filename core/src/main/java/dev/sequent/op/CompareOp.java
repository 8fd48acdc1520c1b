package dev.sequent.op;

/** Elementwise comparisons; the result is BOOL. Comparisons with NaN are false, except NE. */
public enum CompareOp {
    EQ, NE, LT, LE, GT, GE;

    /** The comparison's value at {@code (a, b)}. */
    public boolean apply(double a, double b) {
        return switch (this) {
            case EQ -> a == b;
            case NE -> a != b;
            case LT -> a < b;
            case LE -> a <= b;
            case GT -> a > b;
            case GE -> a >= b;
        };
    }
}
