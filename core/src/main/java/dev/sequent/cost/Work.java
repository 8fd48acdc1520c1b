package dev.sequent.cost;

/**
 * An amount of work; see the package for what is counted.
 *
 * @param matmulFlops floating-point operations in matrix products
 * @param vectorFlops all other floating-point operations
 * @param bytes bytes read and written
 */
public record Work(double matmulFlops, double vectorFlops, double bytes) {
    /** Nothing to do. */
    public static final Work NONE = new Work(0, 0, 0);

    /** Floating-point operations. */
    public double flops() {
        return matmulFlops + vectorFlops;
    }

    /** Both. */
    public Work plus(Work other) {
        return new Work(matmulFlops + other.matmulFlops, vectorFlops + other.vectorFlops, bytes + other.bytes);
    }

    /** So many times this. */
    public Work times(double factor) {
        return new Work(matmulFlops * factor, vectorFlops * factor, bytes * factor);
    }

    /**
     * The product of (rows, in) and a parameter (in, out); backward it is two products, for the inputs' and the parameter's gradients.
     */
    public static Work linear(Workload w, double rows, double in, double out) {
        int products = w.isForward() ? 1 : 2;
        return new Work(products * 2 * rows * in * out, 0, products * w.elementBytes() * (rows * in + in * out + rows * out));
    }

    /**
     * An operation on every element by itself. Backward it reads its inputs and the results' gradients, writes the inputs' gradients,
     * and computes twice as much.
     *
     * @param elements elements of a result
     * @param flops operations per element
     * @param inputs tensors of that many elements that are read
     * @param outputs tensors of that many elements that are written
     */
    public static Work pointwise(Workload w, double elements, double flops, double inputs, double outputs) {
        return w.isForward() ? new Work(0, flops * elements, w.elementBytes() * elements * (inputs + outputs))
                : new Work(0, 2 * flops * elements, w.elementBytes() * elements * (2 * inputs + outputs));
    }

    /** Reading and writing a state of {@code bytes} per row, which happens when tokens came before. */
    public static Work state(Workload w, double bytes) {
        return w.context() == 0 ? NONE : new Work(0, 0, 2 * w.batch() * bytes);
    }
}
