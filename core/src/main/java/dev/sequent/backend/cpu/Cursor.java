package dev.sequent.backend.cpu;

/** Walks over all axes but the innermost one, in row-major order, and knows where every operand's row starts. */
final class Cursor {
    private final long[] dims;
    private final long[][] strides;
    private final long[] index;
    private final long[] at;
    private final int outer;

    /** A cursor at row number {@code row}; positions are in the unit of {@code strides}. */
    Cursor(long[] dims, long[][] strides, long row) {
        this.dims = dims;
        this.strides = strides;
        this.outer = dims.length - 1;
        this.index = new long[dims.length];
        this.at = new long[strides.length];
        long rest = row;
        for (int d = outer - 1; d >= 0; d--) {
            index[d] = rest % dims[d];
            rest /= dims[d];
            for (int k = 0; k < at.length; k++) {
                at[k] += index[d] * strides[k][d];
            }
        }
    }

    /** Start of the current row of operand {@code k}. */
    long at(int k) {
        return at[k];
    }

    /** Rows from the current one to the end of the axis that counts them. */
    long left() {
        return outer == 0 ? 1 : dims[outer - 1] - index[outer - 1];
    }

    /** Goes {@code n} rows on, at most {@link #left} of them. */
    void advance(long n) {
        index[outer - 1] += n - 1;
        for (int k = 0; k < at.length; k++) {
            at[k] += (n - 1) * strides[k][outer - 1];
        }
        advance();
    }

    /** Goes to the next row. */
    void advance() {
        for (int d = outer - 1; d >= 0; d--) {
            if (++index[d] < dims[d]) {
                for (int k = 0; k < at.length; k++) {
                    at[k] += strides[k][d];
                }
                return;
            }
            index[d] = 0;
            for (int k = 0; k < at.length; k++) {
                at[k] -= (dims[d] - 1) * strides[k][d];
            }
        }
    }
}
