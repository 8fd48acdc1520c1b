package dev.sequent.benchmarks.baselines;

import java.util.function.Supplier;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.api.ops.impl.layers.recurrent.config.LSTMDataFormat;
import org.nd4j.linalg.api.ops.impl.layers.recurrent.config.LSTMDirectionMode;
import org.nd4j.linalg.factory.Nd4j;

/** ND4J's {@code multiHeadDotProductAttention}, which has no causal mask, and its operation {@code lstmLayer}. */
final class Nd4jBaseline implements Baseline {
    private static final int D = Weights.WIDTH;
    /** Numbers of activations. */
    private static final int TANH = 0;
    private static final int SIGMOID = 2;

    private Runnable layer;
    private INDArray result;
    private boolean channelsFirst;

    @Override
    public void prepare(Weights weights, float[] x) {
        int time = x.length / D;
        INDArray rows = Nd4j.create(x, new long[] {1, time, D}, 'c');
        channelsFirst = weights.layer().equals("attention");
        if (channelsFirst) {
            INDArray in = rows.permute(0, 2, 1).dup('c'); // (1, D, T)
            INDArray q = heads(weights.matrices()[0]);
            INDArray k = heads(weights.matrices()[1]);
            INDArray v = heads(weights.matrices()[2]);
            INDArray o = Nd4j.create(Weights.transposed(weights.matrices()[3], D, D), new long[] {D, D}, 'c');
            layer = () -> result = Nd4j.nn().multiHeadDotProductAttention(in, in, in, q, k, v, o, null, true);
        } else {
            INDArray wx = gates(weights.matrices()[0]);
            INDArray wh = gates(weights.matrices()[1]);
            INDArray bias = Nd4j.create(weights.matrices()[2], new long[] {4L * D}, 'c');
            // by name: Nd4j.rnn().lstmLayer of 1.0.0-M2.1 declares its inputs as outputs and fails
            Supplier<DynamicCustomOp> op = () -> DynamicCustomOp.builder("lstmLayer").addInputs(rows, wx, wh, bias)
                    .addIntegerArguments(LSTMDataFormat.NTS.ordinal(), LSTMDirectionMode.FWD.ordinal(), SIGMOID, TANH, TANH)
                    // biases are given, and the whole sequence is returned
                    .addBooleanArguments(true, false, false, false, false, true, false, false)
                    .addFloatingPointArguments(0.0).build();
            layer = () -> result = Nd4j.exec(op.get())[0];
        }
    }

    private static INDArray heads(float[] w) {
        return Nd4j.create(w, new long[] {Weights.HEADS, D / Weights.HEADS, D}, 'c');
    }

    private static INDArray gates(float[] w) {
        return Nd4j.create(Weights.transposed(w, 4 * D, D), new long[] {D, 4L * D}, 'c');
    }

    @Override
    public Object call() {
        if (result != null) {
            result.close();
        }
        layer.run();
        return result;
    }

    @Override
    public float[] result() {
        return (channelsFirst ? result.permute(0, 2, 1) : result).dup('c').reshape(-1).toFloatVector();
    }

    @Override
    public void close() {
        if (result != null) {
            result.close();
        }
    }
}
