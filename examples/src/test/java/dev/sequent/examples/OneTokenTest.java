package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.autograd.Autograd;
import dev.sequent.mixer.MixerState;
import dev.sequent.mixer.Mixers;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.model.ModelState;
import dev.sequent.nn.Init;
import dev.sequent.spi.Backend;
import dev.sequent.spi.HostMemory;
import dev.sequent.spi.MemoryStats;
import dev.sequent.spi.Parallel;
import dev.sequent.spi.TensorHandle;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.lang.management.ManagementFactory;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.ToLongFunction;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What one token costs besides arithmetic: calls of the backend, and memory. */
class OneTokenTest {
    private static final int WIDTH = 64;
    private static final int WARM = 20;
    private static final int TOKENS = 50;
    /** Primitives that only make another view of memory. */
    private static final Set<String> VIEWS = Set.of("reshape", "permute", "slice", "broadcastTo", "share");

    /** A CPU device that counts the calls that compute something, and those that make views. */
    private static final class Counted implements AutoCloseable {
        private final Device inner;
        private final Device device;
        private int computing;
        private int results;
        private int views;

        Counted(Device inner) {
            this.inner = inner;
            HostMemory memory = inner.facility(HostMemory.class).orElseThrow();
            Parallel parallel = proxy(Parallel.class, memory.parallel(), (name, result) -> {
                computing += name.equals("forEach") ? 1 : 0;
                return result;
            });
            HostMemory counted = proxy(HostMemory.class, memory, (name, result) -> {
                boolean projected = name.equals("project") && ((Optional<?>) result).isPresent();
                computing += projected ? 1 : 0;
                results += projected || name.equals("allocate") ? 1 : 0;
                return name.equals("parallel") ? parallel : result;
            });
            device = new Device(proxy(Backend.class, inner.backend(), (name, result) -> {
                boolean view = VIEWS.contains(name);
                views += view ? 1 : 0;
                boolean made = !view && result instanceof TensorHandle;
                results += made ? 1 : 0;
                computing += made || name.equals("write") ? 1 : 0;
                boolean facility = result instanceof Optional<?> o && o.isPresent() && o.get() instanceof HostMemory;
                return facility ? Optional.of(counted) : result;
            }), 0);
        }

        private interface Watch {
            Object after(String method, Object result);
        }

        private static <T> T proxy(Class<T> type, T watched, Watch watch) {
            InvocationHandler handler = (_, method, arguments) -> {
                try {
                    return watch.after(method.getName(), method.invoke(watched, arguments));
                } catch (InvocationTargetException e) {
                    throw e.getCause();
                }
            };
            return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
        }

        @Override
        public void close() {
            inner.close();
        }
    }

    // the state was made by this mixer
    @SuppressWarnings("unchecked")
    private static <S extends MixerState> Tensor step(SequenceMixer<S> mixer, Tensor x, MixerState state) {
        return mixer.step(x, (S) state);
    }

    /**
     * Mamba: four projections, convolution, scan. Mamba-2: two projections, convolution, recurrence; its norm is one row and does not
     * ask the pool. Attention: four projections and one call that turns the heads, stores the token and attends; of its own memory it
     * also has the turned queries. S4D: the recurrence, GELU, a projection and its bias, the gate.
     */
    @ParameterizedTest
    @CsvSource({"s4d, 6, 7, 3", "mamba, 6, 6, 1", "mamba2, 4, 6, 0", "attention, 5, 6, 0"})
    void aMixerIsAHandfulOfCalls(String type, int computing, int results, int views) {
        try (Counted counted = new Counted(Device.open("cpu", Map.of("matmul", "builtin"))); Scope _ = Scope.open();
                SequenceMixer<?> mixer = Mixers.parse(type, type.equals("attention") ? Map.of("num_attention_heads", 4) : Map.of())
                        .create(WIDTH, 1, new Init(counted.device, 1));
                MixerState state = mixer.newState(new StateSpec(1, 9, DType.F32, counted.device))) {
            Tensor x = new Rng(2).uniform(counted.device, DType.F32, -1.0, 1.0, 1, 1, WIDTH);
            Autograd.noGrad(() -> step(mixer, x, state));
            counted.computing = 0;
            counted.results = 0;
            counted.views = 0;
            Autograd.noGrad(() -> step(mixer, x, state));
            assertThat(counted.computing).as("calls that compute").isPositive().isLessThanOrEqualTo(computing);
            assertThat(counted.results).as("tensors with memory of their own").isPositive().isLessThanOrEqualTo(results);
            assertThat(counted.views).as("views").isLessThanOrEqualTo(views);
        }
    }

    private static LanguageModel model(Device device, String pattern) {
        Map<Character, LayerSpec> letters = Map.of('S', LayerSpec.of(Mixers.parse("s4d", Map.of())),
                'M', LayerSpec.of(Mixers.parse("mamba", Map.of())), 'D', LayerSpec.of(Mixers.parse("mamba2", Map.of("head_dim", 32))),
                'A', new LayerSpec(Mixers.parse("attention", Map.of("num_attention_heads", 4)), MlpConfig.gated(160)));
        return new LanguageModel(LanguageModelConfig.of(50, WIDTH, LayerPattern.parse(pattern, letters)), new Init(device, 1));
    }

    /** What {@code measure} grew by over {@link #TOKENS} tokens, after some to warm up. */
    private static long growth(Device device, String pattern, ToLongFunction<Device> measure) {
        try (LanguageModel model = model(device, pattern);
                ModelState state = model.newState(new StateSpec(1, WARM + TOKENS, DType.F32, device))) {
            for (int i = 0; i < WARM; i++) {
                token(model, state);
            }
            long before = measure.applyAsLong(device);
            for (int i = 0; i < TOKENS; i++) {
                token(model, state);
            }
            return measure.applyAsLong(device) - before;
        }
    }

    private static void token(LanguageModel model, ModelState state) {
        Autograd.noGrad(() -> {
            try (Scope _ = Scope.open()) {
                return model.step(model.ids(new int[] {7}, 1, 1), state).toFloats()[0];
            }
        });
    }

    /** All native memory of a token comes from the backend's pool, and goes back there. */
    @ParameterizedTest
    @CsvSource({"SSS", "MMM", "DDD", "AAA"})
    void aTokenTakesNoNativeMemoryFromTheSystem(String pattern) {
        try (Device device = Device.open("cpu")) {
            assertThat(growth(device, pattern, d -> {
                MemoryStats m = d.memory();
                return m.liveBytes() + m.pooledBytes() + m.peakBytes();
            })).isZero();
        }
    }

    /**
     * Java objects that a layer makes for a token: handles, shapes and views, embedding and logits shared out among four layers. Counted
     * with scalar kernels, because vector instructions make objects until they are compiled; half as much again is left for what the
     * compiler takes out of one run and not of another.
     */
    @ParameterizedTest
    @CsvSource({"S, 29000", "M, 20000", "D, 18000", "A, 28000"})
    void aLayerMakesFewJavaObjectsForAToken(String letter, int limit) {
        com.sun.management.ThreadMXBean threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (Device device = Device.open("cpu", Map.of("vector", "off", "matmul", "builtin", "threads", "1"))) {
            long grown = growth(device, letter.repeat(4), _ -> threads.getCurrentThreadAllocatedBytes());
            assertThat(grown / 4 / TOKENS).as("bytes per layer and token").isPositive().isLessThanOrEqualTo(limit);
        }
    }
}
