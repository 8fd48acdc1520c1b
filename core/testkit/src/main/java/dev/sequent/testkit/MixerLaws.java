package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.mixer.MixerConfig;
import dev.sequent.mixer.MixerState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.SequentException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/**
 * The laws of a sequence mixer. A test class extends this one, names its mixers in {@link #subjects}, and thereby checks all of them on
 * every backend in {@link #platforms}: forward == prefill == step, causality, independence of rows and documents, padding, states,
 * derivatives, costs.
 *
 * <p>{@link MixerGradientLaws} adds the laws of derivatives.
 */
public abstract class MixerLaws {
    static final int TRIES = 4;

    /**
     * A mixer under test.
     *
     * @param name for messages
     * @param config a small configuration
     * @param width D
     */
    public record Subject(String name, MixerConfig config, int width) {}

    /**
     * A device and element type to test on.
     *
     * @param backend name of the backend
     * @param options options to open it with
     * @param dtype element type of parameters and inputs
     * @param tolerance largest accepted difference, relative to the largest magnitude of the expected values or to 1
     */
    public record Platform(String backend, Map<String, String> options, DType dtype, double tolerance) {}

    /** The mixers under test. */
    protected abstract List<Subject> subjects();

    /** Where they are tested; F64 on the reference backend, and F32 and poisoned memory on the CPU. */
    protected List<Platform> platforms() {
        return List.of(new Platform("reference", Map.of(), DType.F64, 1e-9),
                new Platform("cpu", Map.of("poison", "true", "threads", "2"), DType.F32, 5e-5));
    }

    /** A mixer with its device, ready for a law. */
    record Bench(Device device, DType dtype, double tolerance, Subject subject, SequenceMixer<MixerState> mixer) {
        Tensor input(long seed, int batch, int time) {
            return new Rng(seed).uniform(device, dtype, -1.5, 1.5, batch, time, subject.width());
        }

        MixerState state(int batch, int capacity) {
            return mixer.newState(new StateSpec(batch, capacity, dtype, device));
        }

        void close(String law, Tensor actual, Tensor expected) {
            assertThat(actual.shape()).as(law).isEqualTo(expected.shape());
            closeValues(law + " of " + subject.name() + " on " + device + " " + dtype, actual.toDoubles(), expected.toDoubles(), tolerance);
        }
    }

    static void closeValues(String what, double[] actual, double[] expected, double tolerance) {
        double scale = 1;
        for (double e : expected) {
            scale = Math.max(scale, Math.abs(e));
        }
        for (int i = 0; i < expected.length; i++) {
            if (!(Math.abs(actual[i] - expected[i]) <= tolerance * scale)) {
                throw new AssertionError(what + ": element " + i + " is " + actual[i] + ", expected " + expected[i] + " (scale " + scale
                        + ")");
            }
        }
    }

    /** A law to check on a bench. */
    interface Law {
        void check(Bench bench);
    }

    /** Checks a law for every subject on every platform, and that it leaves no live tensor behind. */
    final void everywhere(Law law) {
        for (Platform p : platforms()) {
            try (Device device = Device.open(p.backend(), p.options())) {
                for (Subject s : subjects()) {
                    on(device, p, s, law);
                }
                assertThat(device.memory().liveHandles()).as("live tensors on " + device).isZero();
            }
        }
    }

    // every mixer accepts the states that it makes itself
    @SuppressWarnings("unchecked")
    private static void on(Device device, Platform p, Subject s, Law law) {
        try (Scope _ = Scope.open();
                SequenceMixer<?> mixer = s.config().create(s.width(), 2, new Init(device, p.dtype(), new Rng(7)))) {
            law.check(new Bench(device, p.dtype(), p.tolerance(), s, (SequenceMixer<MixerState>) mixer));
        }
    }

    private static Tensor steps(Bench b, Tensor x, MixerState state) {
        List<Tensor> ys = new ArrayList<>();
        for (int t = 0; t < x.dim(1); t++) {
            ys.add(b.mixer().step(x.slice(1, t, t + 1), state));
        }
        return Tensor.concat(1, ys.toArray(Tensor[]::new));
    }

    /** Memory of the backend is the same after every step and every chunk: nothing grows with the number of tokens. */
    @Property(tries = 1)
    void memoryDoesNotGrowWithTheSequence() {
        everywhere(b -> {
            int capacity = 400;
            try (MixerState state = b.state(1, capacity)) {
                Tensor x = b.input(1, 1, 16);
                long[] peaks = new long[24];
                long[] lives = new long[peaks.length];
                for (int i = 0; i < peaks.length; i++) {
                    boolean chunk = i % 2 == 0;
                    Autograd.noGrad(() -> {
                        try (Scope _ = Scope.open()) {
                            return chunk ? b.mixer().prefill(x, SequenceInfo.of(x), state) : b.mixer().step(x.slice(1, 0, 1), state);
                        }
                    });
                    lives[i] = b.device().memory().liveBytes();
                    peaks[i] = b.device().memory().peakBytes();
                }
                assertThat(lives[23]).as("live bytes of " + b.subject().name() + " on " + b.device()).isEqualTo(lives[3]);
                assertThat(peaks[23] - peaks[3]).as("growth of the peak of " + b.subject().name() + " on " + b.device())
                        .isLessThanOrEqualTo(keptPerToken(b, state) * 400);
            }
        });
    }

    /** Bytes that temporary results of one token may have for every token before it: of a state that grows, as attention's does. */
    private static long keptPerToken(Bench b, MixerState state) {
        return 64 * b.mixer().cost(new StateSpec(1, 1, b.dtype(), b.device())).bytesPerToken();
    }

    /** A sequence at once equals its tokens one by one. */
    @Property(tries = TRIES)
    void forwardEqualsSteps(@ForAll @IntRange(min = 1, max = 3) int batch, @ForAll @IntRange(min = 1, max = 19) int time,
            @ForAll long seed) {
        everywhere(b -> {
            Tensor x = b.input(seed, batch, time);
            try (MixerState state = b.state(batch, time)) {
                b.close("forward == steps", steps(b, x, state), b.mixer().forward(x, SequenceInfo.of(x)));
                assertThat(state.position()).isEqualTo(time);
            }
        });
    }

    /** A prefix at once and then single tokens equals the whole sequence. */
    @Property(tries = TRIES)
    void prefillThenStepsEqualsForward(@ForAll @IntRange(min = 1, max = 17) int prefix, @ForAll @IntRange(min = 1, max = 5) int rest,
            @ForAll long seed) {
        everywhere(b -> {
            Tensor x = b.input(seed, 2, prefix + rest);
            try (MixerState state = b.state(2, prefix + rest)) {
                Tensor head = b.mixer().prefill(x.slice(1, 0, prefix), state);
                Tensor tail = steps(b, x.slice(1, prefix, prefix + rest), state);
                b.close("prefill + steps == forward", Tensor.concat(1, head, tail), b.mixer().forward(x, SequenceInfo.of(x)));
            }
        });
    }

    /** How a prompt is cut into chunks does not matter. */
    @Property(tries = TRIES)
    void prefillIsInvariantToChunking(@ForAll @IntRange(min = 1, max = 9) int first, @ForAll @IntRange(min = 1, max = 33) int second,
            @ForAll @IntRange(min = 1, max = 9) int third, @ForAll long seed) {
        everywhere(b -> {
            int time = first + second + third;
            Tensor x = b.input(seed, 2, time);
            try (MixerState whole = b.state(2, time); MixerState pieces = b.state(2, time)) {
                Tensor expected = b.mixer().prefill(x, whole);
                Tensor y = Tensor.concat(1, b.mixer().prefill(x.slice(1, 0, first), pieces),
                        b.mixer().prefill(x.slice(1, first, first + second), pieces),
                        b.mixer().prefill(x.slice(1, first + second, time), pieces));
                b.close("chunked prefill == prefill", y, expected);
            }
        });
    }

    /** A token changes nothing before it. */
    @Property(tries = TRIES)
    void outputsDoNotDependOnLaterTokens(@ForAll @IntRange(min = 2, max = 40) int time, @ForAll @IntRange(min = 0, max = 39) int where,
            @ForAll long seed) {
        int t = 1 + where % (time - 1);
        everywhere(b -> {
            Tensor x = b.input(seed, 2, time);
            Tensor changed = Tensor.concat(1, x.slice(1, 0, t), x.slice(1, t, t + 1).add(0.75), x.slice(1, t + 1, time));
            SequenceInfo info = SequenceInfo.of(x);
            Tensor before = b.mixer().forward(x, info).slice(1, 0, t);
            Tensor y = b.mixer().forward(changed, info);
            assertThat(y.slice(1, 0, t).toDoubles()).as("causality of " + b.subject().name()).isEqualTo(before.toDoubles());
            assertThat(y.slice(1, t, t + 1).toDoubles()).as("the token itself counts")
                    .isNotEqualTo(b.mixer().forward(x, info).slice(1, t, t + 1).toDoubles());
        });
    }

    /** A row changes nothing in another row, to the bit. */
    @Property(tries = TRIES)
    void rowsAreIndependent(@ForAll @IntRange(min = 1, max = 20) int time, @ForAll long seed) {
        everywhere(b -> {
            Tensor x = b.input(seed, 3, time);
            Tensor changed = Tensor.concat(0, x.slice(0, 0, 1), x.slice(0, 1, 2).mul(-1), x.slice(0, 2, 3));
            SequenceInfo info = SequenceInfo.of(x);
            Tensor y = b.mixer().forward(x, info);
            Tensor z = b.mixer().forward(changed, info);
            for (int row : new int[] {0, 2}) {
                assertThat(z.select(0, row).toDoubles()).as("row " + row).isEqualTo(y.select(0, row).toDoubles());
            }
        });
    }

    /** A fork goes its own way. */
    @Property(tries = TRIES)
    void forksAreIndependent(@ForAll @IntRange(min = 1, max = 12) int time, @ForAll long seed) {
        everywhere(b -> {
            Tensor x = b.input(seed, 2, time);
            Tensor next = b.input(seed + 1, 2, 1);
            Tensor other = b.input(seed + 2, 2, 3);
            try (MixerState state = b.state(2, time + 3)) {
                b.mixer().prefill(x, state);
                try (MixerState fork = state.fork()) {
                    assertThat(fork.position()).isEqualTo(state.position());
                    b.mixer().prefill(other, fork);
                    Tensor expected = b.mixer().forward(Tensor.concat(1, x, next), SequenceInfo.of(2, time + 1)).slice(1, time, time + 1);
                    b.close("step after fork", b.mixer().step(next, state), expected);
                }
            }
        });
    }

    /** Reordering rows of a state reorders what follows. */
    @Property(tries = TRIES)
    void reorderedRowsContinueTheirOwnSequences(@ForAll @IntRange(min = 1, max = 12) int time, @ForAll long seed) {
        int[] rows = {2, 0, 0, 1};
        everywhere(b -> {
            Tensor x = b.input(seed, 3, time);
            Tensor next = b.input(seed + 1, 4, 1);
            Tensor order = Tensor.of(b.device(), rows);
            try (MixerState state = b.state(3, time + 1)) {
                b.mixer().prefill(x, state);
                state.reorder(rows);
                assertThat(state.batch()).isEqualTo(4);
                Tensor all = Tensor.concat(1, x.indexSelect(0, order), next);
                b.close("step after reorder", b.mixer().step(next, state),
                        b.mixer().forward(all, SequenceInfo.of(all)).slice(1, time, time + 1));
            }
        });
    }

    /** Documents packed into one row do not see each other. */
    @Property(tries = TRIES)
    void packedDocumentsEqualDocumentsAlone(@ForAll @IntRange(min = 1, max = 9) int first, @ForAll @IntRange(min = 1, max = 13) int second,
            @ForAll @IntRange(min = 1, max = 9) int third, @ForAll long seed) {
        everywhere(b -> {
            int time = first + second + third;
            Tensor x = b.input(seed, 2, time);
            int[] documents = new int[2 * time];
            for (int t = 0; t < time; t++) {
                documents[t] = t < first ? 4 : t < first + second ? 7 : 5;
            }
            Tensor y = b.mixer().forward(x, SequenceInfo.of(x).withDocuments(documents));
            int[] cuts = {0, first, first + second, time};
            for (int d = 0; d < 3; d++) {
                Tensor alone = x.slice(0, 0, 1).slice(1, cuts[d], cuts[d + 1]);
                b.close("document " + d, y.slice(0, 0, 1).slice(1, cuts[d], cuts[d + 1]), b.mixer().forward(alone, SequenceInfo.of(alone)));
            }
            Tensor row = x.slice(0, 1, 2);
            b.close("row of one document", y.slice(0, 1, 2), b.mixer().forward(row, SequenceInfo.of(row)));
        });
    }

    /** Padding on the left changes nothing, in training and in generation, and gives zeros. */
    @Property(tries = TRIES)
    void leftPaddingEqualsNoPadding(@ForAll @IntRange(min = 1, max = 9) int shorter, @ForAll @IntRange(min = 1, max = 9) int more,
            @ForAll long seed) {
        int longer = shorter + more;
        everywhere(b -> {
            Tensor x = b.input(seed, 2, longer);
            SequenceInfo info = SequenceInfo.of(x).withLeftPadding(new int[] {longer, shorter});
            Tensor alone = x.slice(0, 1, 2).slice(1, more, longer);
            Tensor expected = b.mixer().forward(alone, SequenceInfo.of(alone));
            Tensor y = b.mixer().forward(x, info);
            b.close("left-padded forward", y.slice(0, 1, 2).slice(1, more, longer), expected);
            assertThat(y.slice(0, 1, 2).slice(1, 0, more).abs().max().item()).as("output at padding").isZero();
            Tensor next = b.input(seed + 1, 2, 1);
            try (MixerState state = b.state(2, longer + 1); MixerState own = b.state(1, shorter + 1)) {
                b.close("left-padded prefill", b.mixer().prefill(x, info, state).slice(0, 1, 2).slice(1, more, longer), expected);
                b.mixer().prefill(alone, own);
                b.close("step after left padding", b.mixer().step(next, state).slice(0, 1, 2), b.mixer().step(next.slice(0, 1, 2), own));
            }
        });
    }

    /** Padding on the right changes nothing, and gives zeros. */
    @Property(tries = TRIES)
    void rightPaddingEqualsNoPadding(@ForAll @IntRange(min = 1, max = 9) int shorter, @ForAll @IntRange(min = 1, max = 9) int more,
            @ForAll long seed) {
        int longer = shorter + more;
        everywhere(b -> {
            Tensor x = b.input(seed, 2, longer);
            SequenceInfo info = SequenceInfo.of(x).withRightPadding(new int[] {longer, shorter});
            Tensor alone = x.slice(0, 1, 2).slice(1, 0, shorter);
            Tensor y = b.mixer().forward(x, info);
            b.close("right-padded forward", y.slice(0, 1, 2).slice(1, 0, shorter), b.mixer().forward(alone, SequenceInfo.of(alone)));
            assertThat(y.slice(0, 1, 2).slice(1, shorter, longer).abs().max().item()).as("output at padding").isZero();
            Tensor next = b.input(seed + 1, 2, 1);
            try (MixerState state = b.state(2, longer + 1); MixerState own = b.state(1, shorter + 1)) {
                b.mixer().prefill(x, info, state);
                b.mixer().prefill(alone, own);
                b.close("step after right padding", b.mixer().step(next, state).slice(0, 1, 2), b.mixer().step(next.slice(0, 1, 2), own));
            }
        });
    }

    /** The stated cost is what a state occupies, and a reset state is as good as new. */
    @Property(tries = TRIES)
    void costEqualsAllocatedBytes(@ForAll @IntRange(min = 1, max = 3) int batch, @ForAll @IntRange(min = 1, max = 24) int capacity) {
        everywhere(b -> {
            StateSpec spec = new StateSpec(batch, capacity, b.dtype(), b.device());
            long expected = batch * b.mixer().cost(spec).bytesAt(capacity);
            try (MixerState state = b.mixer().newState(spec)) {
                assertThat(state.bytes()).as("bytes of a fresh state").isEqualTo(expected);
                Tensor x = b.input(1, batch, capacity);
                Tensor first = b.mixer().prefill(x, state);
                assertThat(state.bytes()).as("bytes of a full state").isEqualTo(expected);
                state.reset();
                assertThat(state.position()).isZero();
                b.close("prefill after reset", b.mixer().prefill(x, state), first);
            }
        });
    }

    /** A state may be of another type than activations: it is stored in its own, whichever way it is advanced. */
    @Example
    void statesMayBeOfAnotherType() {
        everywhere(b -> {
            DType other = b.dtype() == DType.F64 ? DType.F32 : DType.F64;
            if (!b.device().supports(other)) {
                return;
            }
            StateSpec spec = new StateSpec(2, 9, other, b.device());
            Tensor x = b.input(1, 2, 9);
            Tensor all = b.mixer().forward(x, SequenceInfo.of(x));
            try (MixerState state = b.mixer().newState(spec)) {
                List<Tensor> pieces = new ArrayList<>(List.of(b.mixer().prefill(x.slice(1, 0, 5), state)));
                for (int t = 5; t < 9; t++) {
                    int at = t;
                    pieces.add(Autograd.noGrad(() -> b.mixer().step(x.slice(1, at, at + 1), state)));
                }
                double[] given = Tensor.concat(1, pieces.toArray(Tensor[]::new)).toDoubles();
                closeValues("state of type " + other + " of " + b.subject().name(), given, all.toDoubles(), Math.max(b.tolerance(), 1e-5));
                assertThat(state.bytes()).as("bytes of the state").isEqualTo(2 * b.mixer().cost(spec).bytesAt(9));
            }
        });
    }

    /** Wrong shapes, rows that are not there and closed states are typed errors. */
    @Example
    void misuseIsATypedError() {
        everywhere(b -> {
            Tensor wide = new Rng(1).uniform(b.device(), b.dtype(), -1.0, 1.0, 1, 2, b.subject().width() + 1);
            assertThat(wide.rank()).isEqualTo(3);
            assertThatThrownBy(() -> b.mixer().forward(wide, SequenceInfo.of(1, 2))).isInstanceOf(SequentException.class)
                    .hasMessageContaining("expected");
            MixerState state = b.state(2, 4);
            assertThatThrownBy(() -> b.mixer().step(b.input(1, 1, 1), state)).isInstanceOf(SequentException.class);
            assertThatThrownBy(() -> b.mixer().step(b.input(1, 2, 2), state)).isInstanceOf(SequentException.class);
            assertThatThrownBy(() -> state.reorder(new int[] {0, 2})).isInstanceOf(SequentException.class).hasMessageContaining("expected");
            state.close();
            assertThatThrownBy(() -> b.mixer().step(b.input(1, 2, 1), state)).isInstanceOf(ReleasedTensorException.class);
            state.close();
        });
    }
}
