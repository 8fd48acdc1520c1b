package dev.sequent.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.fused.conv.CausalConv;
import dev.sequent.fused.embedding.Lookup;
import dev.sequent.fused.glu.Swiglu;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.fused.norm.Normalize;
import dev.sequent.op.ReduceOp;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Operations large enough to be cut give the same bits for every number of threads, also for more threads than there are processors. */
class CpuThreadCountsTest {
    private static final int ROWS = 700;
    private static final int WIDTH = 300;
    private static final int VOCABULARY = 1000;

    private static Map<String, double[]> single;

    @BeforeAll
    static void oneThread() {
        single = results(1);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 8, 64})
    void resultsAreEqualToTheBit(int threads) {
        Map<String, double[]> actual = results(threads);
        assertThat(actual.keySet()).isEqualTo(single.keySet());
        single.forEach((name, values) -> assertThat(Arrays.equals(actual.get(name), values))
                .as("%s with %d threads", name, threads).isTrue());
    }

    private static Map<String, double[]> results(int threads) {
        Map<String, double[]> results = new LinkedHashMap<>();
        Map<String, String> options = Map.of("threads", Integer.toString(threads), "matmul", "builtin", "poison", "true");
        try (Device device = Device.open("cpu", options); Scope _ = Scope.open()) {
            Tensor x = new Rng(1).uniform(device, DType.F32, -1, 1, ROWS, WIDTH);
            operations(x, results);
            gradients(device, x, results);
        }
        return results;
    }

    private static void operations(Tensor x, Map<String, double[]> results) {
        Map<String, Function<Tensor, Tensor>> operations = new LinkedHashMap<>();
        operations.put("uniform", t -> t);
        operations.put("sum", t -> t.sum());
        operations.put("row sums", t -> t.sum(1));
        operations.put("column sums", t -> t.sum(0));
        operations.put("long row", t -> t.reshape(1, -1).sum(1));
        operations.put("bf16 column sums", t -> t.cast(DType.BF16).sum(0));
        operations.put("f64 sum", t -> t.cast(DType.F64).sum());
        operations.put("maximum", t -> t.max(0));
        operations.put("arg max", t -> t.argmax(1));
        operations.put("top k", t -> t.topK(5));
        operations.put("cumulative sums", t -> t.cumsum(0).add(t.cumulative(ReduceOp.SUM, 1, true)));
        operations.put("transposition", t -> t.transpose(0, 1).contiguous());
        operations.put("broadcast", t -> t.add(t.sum(0)).mul(t.sum(1).unsqueeze(1)));
        operations.put("softmax", t -> t.softmax(0));
        operations.put("product", t -> t.matmul(t, true, false));
        operations.put("f16", t -> t.cast(DType.F16).exp());
        operations.put("concatenation", t -> Tensor.concat(1, t, t.flip(0)).pad(0, 3, 5, 7));
        operations.forEach((name, f) -> results.put(name, f.apply(x).toDoubles()));
    }

    private static void gradients(Device device, Tensor x, Map<String, double[]> results) {
        Rng rng = new Rng(2);
        Tensor weight = rng.uniform(device, DType.F32, -1, 1, WIDTH);
        Tensor bias = rng.uniform(device, DType.F32, -1, 1, WIDTH);
        int[] ids = new int[9000];
        Arrays.setAll(ids, i -> i % 3 == 0 ? 7 : i * 31 % VOCABULARY);
        Tensor index = Tensor.of(device, ids, ids.length);
        Tensor targets = Tensor.of(device, Arrays.stream(ids).limit(ROWS).map(i -> i % WIDTH).toArray(), ROWS);
        byte[] flags = new byte[ROWS];
        flags[100] = CausalConv.RESET;
        Arrays.fill(flags, 300, 420, CausalConv.SKIP);
        differentiate("rms norm", results, in -> Normalize.rms(in.get(0), in.get(1), 1e-5), x, weight);
        differentiate("layer norm", results, in -> Normalize.layer(in.get(0), in.get(1), in.get(2), 1e-5), x, weight, bias);
        differentiate("swiglu", results, in -> Swiglu.apply(in.get(0), in.get(1)), x, x.square());
        differentiate("loss", results, in -> CrossEntropy.loss(in.get(0), targets), x);
        differentiate("embedding", results, in -> Lookup.apply(in.get(0), index), rng.uniform(device, DType.F32, -1, 1, VOCABULARY, 40));
        differentiate("convolution", results, in -> CausalConv.apply(in.get(0).reshape(2, ROWS / 2, WIDTH), in.get(1), in.get(2), true,
                null, flags).y(), x, rng.uniform(device, DType.F32, -1, 1, WIDTH, 1, 4), bias);
    }

    private static void differentiate(String name, Map<String, double[]> results, Function<List<Tensor>, Tensor> f, Tensor... operands) {
        List<Variable> in = Arrays.stream(operands).map(Variable::of).toList();
        Tensor output = f.apply(List.of(operands));
        Tensor weights = new Rng(3).uniform(output.device(), DType.F32, -1, 1, output.shape().toArray());
        Autograd.Pullback p = Autograd.vjp(in, () -> List.of(f.apply(in.stream().map(Variable::value).toList())), List.of(weights));
        results.put(name, p.outputs().getFirst().toDoubles());
        for (int i = 0; i < in.size(); i++) {
            results.put(name + ", gradient " + i, p.gradients().get(in.get(i)).toDoubles());
        }
    }
}
