package dev.sequent.testkit;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.io.SafetensorsFile;
import dev.sequent.io.WeightStore;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelFiles;
import dev.sequent.model.ModelState;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * A small configuration of a public family with the logits that Hugging Face transformers computes for it, where {@link Golden} has one
 * configuration with everything. {@code core/testkit/goldens/make_small.py} made the numbers; weights follow from a hash and are not
 * stored.
 *
 * <p>Immutable.
 */
public final class GoldenVariant {
    private static final int PROMPT = 5;

    private final JsonView json;

    private GoldenVariant(JsonView json) {
        this.json = json;
    }

    /** The variants whose configuration has this {@code model_type}. */
    public static List<GoldenVariant> of(String modelType) {
        try (InputStream in = GoldenVariant.class.getResourceAsStream("goldens/small.json")) {
            Json all = Json.parse(ByteBuffer.wrap(in.readAllBytes()), Json.Dialect.PYTHON, "small.json", CheckpointException::new);
            return JsonView.of(all, "small.json", CheckpointException::new).elements().stream()
                    .filter(v -> v.at("config").at("model_type").asString().equals(modelType)).map(GoldenVariant::new).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What distinguishes the variant. */
    public String name() {
        return json.at("name").asString();
    }

    /** Rotary frequencies of the forward pass; empty where they are not known. */
    public double[] inverseFrequencies() {
        return json.find("inverse").map(GoldenVariant::doubles).orElse(new double[0]);
    }

    /** Factor of cosines and sines, where {@link #inverseFrequencies} are known. */
    public double attentionFactor() {
        return json.at("attention").asDouble();
    }

    /** Writes the variant as a checkpoint. */
    public void write(Path directory) {
        List<SafetensorsFile.Source> sources = new ArrayList<>();
        for (JsonView t : json.at("tensors").elements()) {
            List<JsonView> parts = t.elements();
            Shape shape = Shape.of(parts.get(1).elements().stream().mapToLong(JsonView::asLong).toArray());
            float[] values = values(sources.size(), (int) shape.size(), parts.get(2).asDouble(), parts.get(3).asDouble());
            sources.add(SafetensorsFile.Source.of(parts.get(0).asString(), DType.F32, shape, MemorySegment.ofArray(values)));
        }
        SafetensorsFile.write(directory.resolve(WeightStore.SINGLE), Map.of("format", "pt"), sources);
        AtomicFiles.write(directory.resolve(ModelFiles.CONFIG), json.at("config").value().writePretty());
    }

    /** Uniform in base +- scale: 20 bits of a hash of the element's and the tensor's number, as in the script. */
    private static float[] values(int tensor, int n, double base, double scale) {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            int x = (i + 1) * (int) 2654435761L + (tensor + 1) * (int) 2246822519L;
            x = (x ^ x >>> 15) * 0x2C1B3C6D;
            x = (x ^ x >>> 12) * 0x297A2D39;
            x ^= x >>> 15;
            values[i] = (float) (base + scale * (2 * ((x >>> 12) / (double) (1 << 20)) - 1));
        }
        return values;
    }

    /** Largest relative error of the logits of one pass over the sequence. */
    public double forward(LanguageModel model) {
        try (Scope _ = Scope.open()) {
            int[] ids = ids();
            Tensor x = model.ids(ids, 1, ids.length);
            double[] all = model.forward(x, SequenceInfo.of(x)).toDoubles();
            int vocabulary = all.length / ids.length;
            double largest = 0;
            for (int i = 0; i < at().length; i++) {
                largest = Math.max(largest, relative(Arrays.copyOfRange(all, at()[i] * vocabulary, (at()[i] + 1) * vocabulary), i));
            }
            return largest;
        }
    }

    /** Largest relative error of the logits of a prefill and steps. */
    public double incremental(LanguageModel model) {
        int[] ids = ids();
        int prompt = Math.min(PROMPT, ids.length);
        DType dtype = model.parameters().iterator().next().value().dtype();
        double largest = 0;
        try (Scope _ = Scope.open(); ModelState state = model.newState(new StateSpec(1, ids.length, dtype, model.device()))) {
            Tensor logits = model.prefill(model.ids(Arrays.copyOf(ids, prompt), 1, prompt), SequenceInfo.of(1, prompt), state);
            for (int t = prompt - 1; t < ids.length; t++) {
                int i = Arrays.binarySearch(at(), t);
                largest = i < 0 ? largest : Math.max(largest, relative(logits.toDoubles(), i));
                logits = t + 1 == ids.length ? logits : model.step(model.ids(new int[] {ids[t + 1]}, 1, 1), state);
            }
        }
        return largest;
    }

    private double relative(double[] actual, int row) {
        return GoldenCheck.relative(actual, doubles(json.at("logits").elements().get(row)));
    }

    private int[] ids() {
        return json.at("ids").elements().stream().mapToInt(JsonView::asInt).toArray();
    }

    private int[] at() {
        return json.at("at").elements().stream().mapToInt(JsonView::asInt).toArray();
    }

    private static double[] doubles(JsonView array) {
        return array.elements().stream().mapToDouble(JsonView::asDouble).toArray();
    }

    /** The variants of several families. */
    public static Stream<GoldenVariant> all(String... modelTypes) {
        return Arrays.stream(modelTypes).flatMap(m -> of(m).stream());
    }

    @Override
    public String toString() {
        return name();
    }
}
