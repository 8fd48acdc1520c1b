package dev.sequent.benchmarks.baselines;

/** A library's forward pass of one layer over one row of tokens; used by one thread. */
interface Baseline extends AutoCloseable {
    /** Prepares a layer over the input {@code x}, (T, D). */
    void prepare(Weights weights, float[] x);

    /** Runs the layer once; the result belongs to the baseline until the next call. */
    Object call();

    /** The result of the last call, (T, D). */
    float[] result();

    @Override
    void close();

    /**
     * Opens the baseline of a library.
     *
     * @throws IllegalStateException when the library is not on the class path
     */
    static Baseline of(String library) {
        try {
            return switch (library) {
                case "sequent" -> new SequentBaseline();
                case "djl" -> new DjlBaseline();
                case "nd4j" -> new Nd4jBaseline();
                default -> throw new IllegalArgumentException("expected one of sequent, djl and nd4j, given " + library);
            };
        } catch (NoClassDefFoundError e) {
            throw new IllegalStateException("[baseline] expected " + library + " on the class path (Maven's -P" + library
                    + "), given none", e);
        }
    }
}
