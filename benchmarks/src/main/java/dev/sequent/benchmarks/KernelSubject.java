package dev.sequent.benchmarks;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.fused.conv.CausalConv;
import dev.sequent.fused.embedding.Lookup;
import dev.sequent.fused.glu.Swiglu;
import dev.sequent.fused.linear.Projections;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.fused.norm.Normalize;
import dev.sequent.fused.softmax.Softmax;
import dev.sequent.ssm.scan.SelectiveScan;
import dev.sequent.ssm.scan.StateSpaceDual;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.attention.Attention;
import dev.sequent.transformer.attention.AttentionMask;
import dev.sequent.transformer.position.RotaryEmbedding;
import dev.sequent.transformer.position.RotaryFrequencies;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * An operation at a size: inputs, the function, and the work that its forward pass needs. Its tensors belong to the scope in which it was
 * made.
 *
 * @param inputs what the gradient is taken of
 * @param body the operation
 * @param flops floating-point operations of the forward pass; an exponential counts one
 * @param bytes bytes of inputs and outputs
 */
public record KernelSubject(List<Tensor> inputs, Function<List<Tensor>, List<Tensor>> body, double flops, double bytes) {
    /** Names of the operations. */
    public static final List<String> NAMES = List.of("selective_scan", "gated_selective_scan", "state_space_dual", "state_space_dual_128",
            "attention", "attention_bf16", "grouped_attention", "windowed_attention", "causal_conv", "rms_norm", "swiglu", "rotary",
            "cross_entropy", "embedding", "softmax", "matmul", "projections", "add", "silu");

    private static final int INNER = 1536;
    private static final int STATES = 16;
    private static final int HEADS = 8;
    private static final int HEAD_WIDTH = 64;
    private static final int DUAL_HEADS = 24;
    private static final int DUAL_CHUNK = 64;
    private static final int WINDOW = 512;
    private static final int WIDTH = 768;
    private static final int VOCABULARY = 8192;
    private static final int TAPS = 4;
    private static final double TOLERANCE = 2e-4;
    /** Results and gradients that are rounded to 8 bits, computed from probabilities that may be. */
    private static final double NARROW_TOLERANCE = 2e-2;

    /** The operation's results. */
    public List<Tensor> forward() {
        return body.apply(inputs);
    }

    /**
     * Numbers of the shapes of the results, which belong to the scope around the call. Not ones: the gradient of a softmax's sum is zero.
     */
    public List<Tensor> cotangents() {
        Rng rng = new Rng(21);
        try (Scope scope = Scope.open()) {
            List<Tensor> outputs = Autograd.noGrad(this::forward);
            return outputs.stream().map(y -> scope.keep(rng.uniform(y.device(), DType.F32, -1.0, 1.0, y.shape().toArray()).cast(y.dtype())))
                    .toList();
        }
    }

    /**
     * Fails unless results and gradients on {@code device} are those of the reference backend, over {@code time} tokens. A window is
     * shorter than them here.
     *
     * @throws IllegalStateException when they differ
     */
    public static void check(String name, Device device, Device reference, int time) {
        try (Scope _ = Scope.open()) {
            int window = Math.min(WINDOW, time / 3 + 1);
            KernelSubject given = of(name, device, time, window);
            KernelSubject expected = of(name, reference, time, window);
            Check.close(name, given.gradient(given.cotangents()), expected.gradient(expected.cotangents()),
                    name.equals("attention_bf16") ? NARROW_TOLERANCE : TOLERANCE);
        }
    }

    /** Results and gradients of all inputs. */
    public List<Tensor> gradient(List<Tensor> cotangents) {
        List<Variable> variables = inputs.stream().map(Variable::of).toList();
        Autograd.Pullback pullback = Autograd.vjp(variables, this::forward, cotangents);
        List<Tensor> all = new ArrayList<>(pullback.outputs());
        variables.forEach(v -> all.add(pullback.gradients().get(v)));
        return all;
    }

    /**
     * Makes an operation over {@code time} tokens in one row; numbers do not depend on the device, and are F64 on the reference backend.
     */
    public static KernelSubject of(String name, Device device, int time) {
        return of(name, device, time, WINDOW);
    }

    private static KernelSubject of(String name, Device device, int time, int window) {
        DType dtype = name.equals("attention_bf16") ? DType.BF16 : DType.F32;
        Numbers n = new Numbers(device, dtype, device.backend().name().equals("reference") ? DType.F64 : dtype);
        double t = time;
        return switch (name) {
            case "selective_scan" -> scan(n, time, false);
            case "gated_selective_scan" -> scan(n, time, true);
            case "state_space_dual" -> dual(n, time, 64);
            case "state_space_dual_128" -> dual(n, time, 128);
            case "attention", "attention_bf16" -> attention(n, time, HEADS, AttentionMask.CAUSAL, t * (t + 1) / 2);
            case "grouped_attention" -> attention(n, time, 2, AttentionMask.CAUSAL, t * (t + 1) / 2);
            case "windowed_attention" -> attention(n, time, HEADS, AttentionMask.CAUSAL.withWindow(window), pairs(time, window));
            case "causal_conv" -> n.subject(x -> List.of(CausalConv.apply(x.get(0), x.get(1), x.get(2), true, null, null).y()),
                    t * INNER * (2.0 * TAPS + 3), t * INNER,
                    n.draw(1, time, INNER), n.draw(INNER, 1, TAPS), n.draw(INNER));
            case "rms_norm" -> n.subject(x -> {
                Normalize.Added added = Normalize.addRms(x.get(0), x.get(1), x.get(2), 1e-5);
                return List.of(added.sum(), added.normalised());
            }, 5 * t * WIDTH, 2 * t * WIDTH, n.draw(1, time, WIDTH), n.draw(1, time, WIDTH), n.draw(WIDTH));
            case "swiglu" -> n.subject(x -> List.of(Swiglu.apply(x.get(0), x.get(1))), 5 * t * INNER, t * INNER, n.draw(1, time, INNER),
                    n.draw(1, time, INNER));
            case "rotary" -> {
                RotaryEmbedding rotary = new RotaryEmbedding(RotaryFrequencies.standard(HEAD_WIDTH, 10_000));
                int[] positions = IntStream.range(0, time).toArray();
                yield n.subject(x -> List.of(rotary.apply(x.get(0), positions)), 3 * t * HEADS * HEAD_WIDTH, t * HEADS * HEAD_WIDTH,
                        n.draw(1, time, HEADS, HEAD_WIDTH));
            }
            case "cross_entropy" -> {
                Tensor targets = n.ids(time, VOCABULARY);
                yield n.subject(x -> List.of(CrossEntropy.loss(x.get(0), targets)), 3 * t * VOCABULARY, 0, n.draw(1, time, VOCABULARY));
            }
            case "embedding" -> {
                Tensor ids = n.ids(time, VOCABULARY);
                KernelSubject lookup = n.subject(x -> List.of(Lookup.apply(x.get(0), ids)), 0, t * WIDTH, n.draw(VOCABULARY, WIDTH));
                // of the table, the rows that are looked up
                yield new KernelSubject(lookup.inputs, lookup.body, 0, 2 * t * WIDTH * n.dtype.bytes());
            }
            case "softmax" -> n.subject(x -> List.of(Softmax.apply(x.get(0))), 4 * t * WIDTH, t * WIDTH, n.draw(1, time, WIDTH));
            case "matmul" -> n.subject(x -> List.of(x.get(0).matmul(x.get(1), false, true)), 2 * t * WIDTH * INNER, t * INNER,
                    n.draw(time, WIDTH),
                    n.draw(INNER, WIDTH));
            case "projections" -> n.subject(x -> List.of(Projections.apply(x.get(0), x.get(1), x.get(2), x.get(3))),
                    6 * t * WIDTH * WIDTH, 3 * t * WIDTH, n.draw(time, WIDTH), n.draw(WIDTH, WIDTH), n.draw(WIDTH, WIDTH),
                    n.draw(WIDTH, WIDTH));
            case "add" -> n.subject(x -> List.of(x.get(0).add(x.get(1))), t * WIDTH, t * WIDTH, n.draw(time, WIDTH), n.draw(time, WIDTH));
            case "silu" -> n.subject(x -> List.of(x.get(0).silu()), 4 * t * WIDTH, t * WIDTH, n.draw(time, WIDTH));
            default -> throw new IllegalArgumentException("expected one of " + NAMES + ", given " + name);
        };
    }

    private static double pairs(int time, int window) {
        double full = Math.min(time, window);
        return full * (full + 1) / 2 + Math.max(0, time - window) * (double) window;
    }

    private static KernelSubject scan(Numbers n, int time, boolean gated) {
        Tensor u = n.draw(1, time, INNER);
        Tensor delta = n.draw(1, time, INNER).add(1.01).mul(0.05);
        Tensor a = n.draw(INNER, STATES).add(1.01).mul(-4);
        Tensor z = n.draw(1, time, INNER);
        List<Tensor> operands = new ArrayList<>(List.of(u, delta, a, n.draw(1, time, STATES), n.draw(1, time, STATES), n.draw(INNER)));
        if (gated) {
            operands.addAll(List.of(n.draw(INNER), z));
        }
        // per state: step A, exp, step u B, two for h, two for y
        double flops = (double) time * INNER * (7.0 * STATES + 3 + (gated ? 7 : 0));
        return n.subject(x -> {
            SelectiveScan.Operands o = new SelectiveScan.Operands(x.get(0), x.get(1), x.get(2), x.get(3), x.get(4), x.get(5),
                    gated ? x.get(6) : null, gated, gated ? x.get(7) : null, null);
            return List.of(SelectiveScan.apply(o, null).y());
        }, flops, (double) time * INNER, operands.toArray(Tensor[]::new));
    }

    private static KernelSubject dual(Numbers n, int time, int states) {
        double channels = DUAL_HEADS * HEAD_WIDTH;
        Tensor dt = n.draw(1, time, DUAL_HEADS).add(1.01).mul(0.05);
        Tensor a = n.draw(DUAL_HEADS).add(1.01).mul(-4);
        // the recurrence; per state: two for h, one for its decay, two for y
        return n.subject(x -> {
            StateSpaceDual.Operands o = new StateSpaceDual.Operands(x.get(0), x.get(1), x.get(2), x.get(3), x.get(4), x.get(5), null);
            return List.of(StateSpaceDual.apply(o, DUAL_CHUNK, null).y());
        }, time * channels * (5.0 * states + 3), time * channels, n.draw(1, time, DUAL_HEADS, HEAD_WIDTH), dt, a,
                n.draw(1, time, 1, states),
                n.draw(1, time, 1, states), n.draw(DUAL_HEADS));
    }

    private static KernelSubject attention(Numbers n, int time, int groups, AttentionMask mask, double pairs) {
        return n.subject(x -> List.of(Attention.apply(x.get(0), x.get(1), x.get(2), mask, 0.125)), 4.0 * HEADS * HEAD_WIDTH * pairs,
                (double) time * HEADS * HEAD_WIDTH, n.draw(1, time, HEADS, HEAD_WIDTH), n.draw(1, time, groups, HEAD_WIDTH),
                n.draw(1, time, groups, HEAD_WIDTH));
    }

    /** Draws inputs in a fixed order. */
    private static final class Numbers {
        private final Device device;
        private final DType rounded;
        private final DType dtype;
        private final Rng rng = new Rng(20);

        /** Numbers as {@code rounded} holds them, in tensors of {@code dtype}. */
        Numbers(Device device, DType rounded, DType dtype) {
            this.device = device;
            this.rounded = rounded;
            this.dtype = dtype;
        }

        /** Uniform in [-1, 1). */
        Tensor draw(long... shape) {
            return rng.uniform(device, DType.F32, -1.0, 1.0, shape).cast(rounded).cast(dtype);
        }

        Tensor ids(int time, int vocabulary) {
            return Tensor.of(device, IntStream.range(0, time).map(i -> (int) (i * 7919L % vocabulary)).toArray(), 1, time);
        }

        KernelSubject subject(Function<List<Tensor>, List<Tensor>> body, double flops, double outputs, Tensor... inputs) {
            double elements = outputs;
            for (Tensor x : inputs) {
                elements += x.size();
            }
            return new KernelSubject(List.of(inputs), body, flops, elements * dtype.bytes());
        }
    }
}
