package dev.sequent.examples;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How to train.
 *
 * @param out directory for the models, one below it per kind
 * @param context T, tokens per row
 * @param batch B, rows per step
 * @param learningRate the highest; it falls to a tenth
 * @param evalEvery steps between validations and checkpoints
 * @param stopAfter step at which this call stops, for a later one to resume; 0 for the end
 * @param precision how matrix products are computed, f32 or bf16
 * @param sampleTokens length of the sample
 */
record Plan(Path out, Sizes sizes, int context, int batch, long steps, double learningRate, long seed, long evalEvery, boolean resume,
        long stopAfter, String precision, int sampleTokens) {
    /** The step at which this call stops. */
    long lastStep() {
        return stopAfter == 0 ? steps : Math.min(steps, stopAfter);
    }

    /** What must be the same when a run is resumed, under the options' names. */
    Map<String, Object> identity(Corpus corpus) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("text", corpus.checksum());
        m.put("tokenizer", corpus.tokenizerName());
        m.put("width", sizes.width());
        m.put("layers", sizes.layers());
        m.put("heads", sizes.heads());
        m.put("state-size", sizes.stateSize());
        m.put("dropout", Double.toString(sizes.dropout()));
        m.put("pattern", String.valueOf(sizes.pattern()));
        m.put("context", context);
        m.put("batch", batch);
        m.put("steps", steps);
        m.put("learning-rate", Double.toString(learningRate));
        m.put("seed", seed);
        m.put("eval-every", evalEvery);
        m.put("precision", precision);
        return m;
    }
}
