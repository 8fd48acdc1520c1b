package dev.sequent.testkit;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.generate.Generator;
import dev.sequent.generate.Sampling;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.KeyMap;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelState;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;

/**
 * Compares a language model with a {@link Golden}.
 *
 * <p>The relative error of a tensor is max |a - b| / max |b|, a being the model's values and b the golden ones: norm-wise, so that a
 * small element is measured against the largest of its tensor. A part of a stored tensor, like the queries' third of GPT-2's
 * {@code c_attn}, is measured against the largest element of the whole. NaN and infinities count as an infinite error.
 *
 * <pre>{@code
 * try (Golden golden = Golden.open("mamba"); Device device = Device.open("cpu"); LanguageModel model =
 * LanguageModel.load(golden.directory(), device)) { assertThat(new GoldenCheck(golden, model).errors().logits()).isLessThan(1e-6);
 * }
 * }</pre>
 *
 * <p>Works on every backend; golden values are compared on the heap in F64. Used by one thread.
 */
public final class GoldenCheck {
    private static final int[] PIECES = {1, 16, 7, 100, 130};
    private static final int[] PREFIXES = {1, 2, 3, 17};
    private static final int[] CHUNKS = {2048, 3};

    private final Golden golden;
    private final LanguageModel model;
    private final Layout layout;
    private final Device device;
    private final int[][] ids;

    /** Where a parameter's values are in the checkpoint. */
    public interface Layout {
        /** The place of the parameter that the model calls {@code parameter}. */
        Place of(String parameter);
    }

    /**
     * A parameter's values in a stored tensor.
     *
     * @param name checkpoint name
     * @param view from the stored tensor to one of the parameter's shape
     */
    public record Place(String name, UnaryOperator<Tensor> view) {
        /** The whole stored tensor. */
        public static Place whole(String name) {
            return new Place(name, t -> t);
        }
    }

    /**
     * The largest relative errors.
     *
     * @param logits of a forward pass over all positions
     * @param loss of the mean cross-entropy
     * @param gradients the largest over all parameters
     * @param worst the parameter, by its checkpoint name, with that error
     * @param incremental of the logits of prefixes, and of prefill in pieces and steps, with and without left padding
     * @param losses the largest over the losses of the AdamW run
     * @param equalTokens how many tokens of the greedy continuation are the golden ones
     * @param tokens how many there are
     */
    public record Errors(double logits, double loss, double gradients, String worst, double incremental, double losses, int equalTokens,
            int tokens) {
        /**
         * Fails unless all errors are within bounds and all tokens agree.
         *
         * @param outputs bound for logits and loss, of a forward pass and of prefill and steps
         * @param derivatives bound for gradients
         * @param training bound for the losses of the AdamW run
         */
        public void expectWithin(double outputs, double derivatives, double training) {
            boolean within = logits <= outputs && loss <= outputs && incremental <= outputs && gradients <= derivatives
                    && losses <= training;
            if (!within || equalTokens < tokens) {
                throw new AssertionError("expected relative errors of at most " + outputs + " for outputs, " + derivatives
                        + " for gradients and " + training + " for the losses of training, and equal tokens, given " + this);
            }
        }
    }

    /**
     * The largest relative errors of what a model computes without being trained.
     *
     * @param logits of a forward pass over all positions
     * @param incremental of the logits of prefixes, and of prefill in pieces and steps, with and without left padding
     * @param equalTokens how many tokens of the greedy continuations are the golden ones
     * @param tokens how many there are; 0 where {@link Golden#dependsOnLength}
     */
    public record Outputs(double logits, double incremental, int equalTokens, int tokens) {
        /** Fails unless both errors are at most {@code bound} and all tokens agree. */
        public void expectWithin(double bound) {
            if (!(logits <= bound && incremental <= bound) || equalTokens < tokens) {
                throw new AssertionError("expected relative errors of at most " + bound + " and equal tokens, given " + this);
            }
        }
    }

    /** A check of {@code model}, which was loaded from {@link Golden#directory}: its family knows where its parameters are. */
    public GoldenCheck(Golden golden, LanguageModel model) {
        this(golden, model, layout(model));
    }

    private static Layout layout(LanguageModel model) {
        Map<String, Shape> shapes = new LinkedHashMap<>();
        model.namedParameters().forEach((name, p) -> shapes.put(name, p.value().shape()));
        Map<String, KeyMap.Place> places = model.family().orElseThrow().keys(model.config()).places(shapes);
        return name -> new Place(places.get(name).key(), places.get(name).view());
    }

    /** A check of {@code model}, whose parameters {@code layout} finds in the checkpoint. */
    public GoldenCheck(Golden golden, LanguageModel model, Layout layout) {
        this.golden = golden;
        this.model = model;
        this.layout = layout;
        this.device = model.device();
        this.ids = golden.inputIds();
    }

    /** Gives the model the golden's weights; every stored tensor must be used. */
    public void load() {
        Set<String> unused = new TreeSet<>();
        try (Device host = Device.open("reference"); WeightStore store = WeightStore.open(golden.directory()); Scope _ = Scope.open()) {
            store.tensors().forEach(t -> unused.add(t.name()));
            model.namedParameters().forEach((name, p) -> {
                Place place = layout.of(name);
                unused.remove(place.name());
                Tensor own = place.view().apply(TensorFiles.load(store, place.name(), host, DType.F32)).contiguous();
                p.set(Tensor.of(device, own.toFloats(), own.shape().toArray()).cast(p.value().dtype()));
            });
        }
        if (!unused.isEmpty()) {
            throw new AssertionError("stored tensors that no parameter uses: " + unused);
        }
    }

    /** Everything, where the golden {@link Golden#hasGradients}; the model is trained by it. */
    public Errors errors() {
        try (Scope _ = Scope.open()) {
            Outputs o = outputs();
            Map<String, Double> gradients = gradients();
            String worst = gradients.entrySet().stream().max(Map.Entry.comparingByValue()).orElseThrow().getKey();
            return new Errors(o.logits(), loss(), gradients.get(worst), worst, o.incremental(), losses(), o.equalTokens(), o.tokens());
        }
    }

    /** What can be compared without training. */
    public Outputs outputs() {
        double incremental = Math.max(prefixes(), Math.max(incremental(false), incremental(true)));
        if (golden.dependsOnLength()) {
            return new Outputs(logits(), incremental, 0, 0);
        }
        return new Outputs(logits(), incremental, equalTokens(), golden.generated().length * golden.generated()[0].length);
    }

    /** Relative error of the logits of sequences of 1, 2, 3 and 17 tokens, each row's by its last position. */
    public double prefixes() {
        return Autograd.noGrad(() -> {
            double largest = 0;
            for (int n : PREFIXES) {
                try (Scope _ = Scope.open()) {
                    Tensor x = input().slice(1, 0, n).contiguous();
                    Tensor last = model.forward(x, SequenceInfo.of(x)).slice(1, n - 1, n);
                    largest = Math.max(largest, compareLast(last, n, new int[ids.length]));
                }
            }
            return largest;
        });
    }

    /** Relative error of the logits of all positions. */
    public double logits() {
        return Autograd.noGrad(() -> {
            try (Scope _ = Scope.open()) {
                Tensor x = input();
                return relative(model.forward(x, SequenceInfo.of(x)).toDoubles(), golden.logits());
            }
        });
    }

    /** Relative error of the loss. */
    public double loss() {
        try (Scope _ = Scope.open()) {
            return relative(new double[] {mean(input()).item()}, new double[] {golden.loss()});
        }
    }

    /** Relative error of each gradient, by checkpoint name; every golden gradient is compared. */
    public Map<String, Double> gradients() {
        Map<String, Double> errors = new LinkedHashMap<>();
        golden.gradientNames().forEach(name -> errors.put(name, null));
        try (Device host = Device.open("reference"); Scope _ = Scope.open()) {
            Gradients g = differentiate();
            model.namedParameters().forEach((name, p) -> {
                Place place = layout.of(name);
                double[] stored = golden.gradient(place.name());
                Tensor expected = place.view().apply(Tensor.of(host, stored, golden.gradientShape(place.name())));
                double error = relative(g.of(p).toDoubles(), expected.contiguous().toDoubles(), largest(stored));
                errors.merge(place.name(), error, Math::max);
            });
        }
        if (errors.containsValue(null)) {
            throw new AssertionError("gradients that no parameter has: " + errors);
        }
        return errors;
    }

    /** Relative error of the losses of the AdamW run, which changes the model. */
    public double losses() {
        double[] expected = golden.losses();
        double[] actual = new double[expected.length];
        double largest = 0;
        try (AdamW optimizer = new AdamW(model.namedParameters(), golden.optimizer())) {
            for (int i = 0; i < expected.length; i++) {
                try (Scope _ = Scope.open()) {
                    Gradients g = differentiate();
                    actual[i] = g.loss().item();
                    Map<Parameter, Tensor> gradients = new HashMap<>();
                    model.parameters().forEach(p -> gradients.put(p, g.of(p)));
                    optimizer.step(gradients, Golden.LEARNING_RATE, 1);
                }
                largest = Math.max(largest, relative(new double[] {actual[i]}, new double[] {expected[i]}));
            }
        }
        return largest;
    }

    /**
     * Relative error of the logits after each of several prefills and of steps to the end of the sequence.
     *
     * @param padded whether the second row sees fewer tokens, left-padded; what it must give is known, because models are causal
     */
    public double incremental(boolean padded) {
        return Autograd.noGrad(() -> {
            int time = ids[0].length;
            int[] missing = new int[ids.length];
            if (padded) {
                missing[1] = Math.min(12, time / 3);
            }
            double largest = 0;
            try (Scope _ = Scope.open(); ModelState state = model.newState(new StateSpec(ids.length, time, stateType(), device))) {
                int from = 0;
                for (int n : PIECES) {
                    if (from + n < time) {
                        largest = Math.max(largest, compareLast(prefill(from, n, missing, state), from + n, missing));
                        from += n;
                    }
                }
                for (; from < time; from++) {
                    largest = Math.max(largest, compareLast(model.step(model.ids(column(from, missing), ids.length, 1), state), from + 1,
                            missing));
                }
            }
            return largest;
        });
    }

    private Tensor prefill(int from, int n, int[] missing, ModelState state) {
        int[] tokens = new int[ids.length * n];
        int[] lengths = new int[ids.length];
        for (int b = 0; b < ids.length; b++) {
            for (int t = 0; t < n; t++) {
                int at = from + t - missing[b];
                tokens[b * n + t] = at < 0 ? 0 : ids[b][at];
                lengths[b] += at < 0 ? 0 : 1;
            }
        }
        SequenceInfo info = SequenceInfo.of(ids.length, n);
        boolean short_ = Arrays.stream(lengths).anyMatch(l -> l < n);
        return model.prefill(model.ids(tokens, ids.length, n), short_ ? info.withLeftPadding(lengths) : info, state);
    }

    private int[] column(int t, int[] missing) {
        int[] tokens = new int[ids.length];
        Arrays.setAll(tokens, b -> ids[b][t - missing[b]]);
        return tokens;
    }

    /** Compares logits (B, V) that follow {@code seen} columns; rows that have seen padding only do not count. */
    private double compareLast(Tensor logits, int seen, int[] missing) {
        double[] actual = logits.toDoubles();
        double[] all = golden.logits();
        int v = golden.vocabulary();
        double largest = 0;
        for (int b = 0; b < ids.length; b++) {
            int t = seen - 1 - missing[b];
            if (t >= 0) {
                int at = (b * ids[b].length + t) * v;
                largest = Math.max(largest, relative(Arrays.copyOfRange(actual, b * v, (b + 1) * v), Arrays.copyOfRange(all, at, at + v)));
            }
        }
        return largest;
    }

    /**
     * How many tokens of the greedy continuation, generated for all prompts in one batch, are the golden ones, however the prompts are cut.
     */
    public int equalTokens() {
        int[][] expected = golden.generated();
        Generator.Request request = new Generator.Request(expected[0].length, Sampling.greedy(), Set.of());
        int fewest = Integer.MAX_VALUE;
        for (int chunk : CHUNKS) {
            int[][] actual = new Generator(model, chunk).generate(golden.prompts(), request, (_, _) -> true);
            int equal = 0;
            for (int b = 0; b < expected.length; b++) {
                for (int t = 0; t < expected[b].length; t++) {
                    equal += actual[b][t] == expected[b][t] ? 1 : 0;
                }
            }
            fewest = Math.min(fewest, equal);
        }
        return fewest;
    }

    private Gradients differentiate() {
        return Autograd.valueAndGrad(model.parameters(), () -> mean(input()));
    }

    private Tensor mean(Tensor x) {
        long time = x.dim(1);
        Tensor logits = model.forward(x, SequenceInfo.of(x));
        return CrossEntropy.loss(logits.slice(1, 0, time - 1).reshape(-1, golden.vocabulary()), x.slice(1, 1, time).reshape(-1));
    }

    private Tensor input() {
        return model.ids(Arrays.stream(ids).flatMapToInt(Arrays::stream).toArray(), ids.length, ids[0].length);
    }

    private DType stateType() {
        return model.parameters().iterator().next().value().dtype();
    }

    /** max |actual - expected| / max |expected|. */
    public static double relative(double[] actual, double[] expected) {
        return relative(actual, expected, largest(expected));
    }

    private static double relative(double[] actual, double[] expected, double scale) {
        if (actual.length != expected.length) {
            throw new AssertionError(actual.length + " values for " + expected.length);
        }
        double largest = 0;
        for (int i = 0; i < actual.length; i++) {
            double difference = Math.abs(actual[i] - expected[i]);
            largest = difference <= Double.MAX_VALUE ? Math.max(largest, difference) : Double.POSITIVE_INFINITY;
        }
        return largest == 0 ? 0 : largest / scale;
    }

    private static double largest(double[] values) {
        return Arrays.stream(values).map(Math::abs).max().orElse(0);
    }
}
