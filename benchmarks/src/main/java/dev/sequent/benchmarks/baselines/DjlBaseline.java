package dev.sequent.benchmarks.baselines;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.nn.recurrent.LSTM;
import ai.djl.nn.transformer.ScaledDotProductAttentionBlock;
import ai.djl.training.ParameterStore;
import java.util.List;

/** DJL's {@code ScaledDotProductAttentionBlock} and {@code LSTM} on its PyTorch engine. */
final class DjlBaseline implements Baseline {
    private final NDManager manager;
    private Block block;
    private ParameterStore parameters;
    private NDArray input;
    private NDManager results;
    private NDArray result;

    DjlBaseline() {
        System.setProperty("ai.djl.offline", "true");
        System.setProperty("OPT_OUT_TRACKING", "true");
        this.manager = NDManager.newBaseManager("PyTorch");
    }

    @Override
    public void prepare(Weights weights, float[] x) {
        input = manager.create(x, new Shape(1, x.length / Weights.WIDTH, Weights.WIDTH));
        boolean lstm = weights.layer().equals("lstm");
        block = lstm ? LSTM.builder().setStateSize(Weights.WIDTH).setNumLayers(1).build()
                : ScaledDotProductAttentionBlock.builder().setEmbeddingSize(Weights.WIDTH).setHeadCount(Weights.HEADS).build();
        block.initialize(manager, DataType.FLOAT32, input.getShape());
        if (lstm) {
            recurrent(weights);
        } else {
            ScaledDotProductAttentionBlock attention = (ScaledDotProductAttentionBlock) block;
            List<Block> projections = List.of(attention.getQueryProjection(), attention.getKeyProjection(), attention.getValueProjection(),
                    attention.getResultProjection());
            for (int i = 0; i < projections.size(); i++) {
                set(projections.get(i).getParameters().get("weight"), weights.matrices()[i]);
                Parameter bias = projections.get(i).getParameters().get("bias");
                bias.getArray().muli(0);
            }
        }
        parameters = new ParameterStore(manager, false);
    }

    /** Weights of the input and of the previous output, then their biases, of which the second is superfluous. */
    private void recurrent(Weights weights) {
        List<Parameter> all = block.getParameters().values();
        set(all.get(0), weights.matrices()[0]);
        set(all.get(1), weights.matrices()[1]);
        set(all.get(2), weights.matrices()[2]);
        all.get(3).getArray().muli(0);
    }

    private void set(Parameter parameter, float[] values) {
        try (NDArray given = manager.create(values, parameter.getArray().getShape())) {
            given.copyTo(parameter.getArray());
        }
    }

    @Override
    public Object call() {
        if (results != null) {
            results.close();
        }
        results = manager.newSubManager();
        NDArray x = input.duplicate();
        x.attach(results);
        result = block.forward(parameters, new NDList(x), false).head();
        return result;
    }

    @Override
    public float[] result() {
        return result.toFloatArray();
    }

    @Override
    public void close() {
        manager.close();
    }
}
