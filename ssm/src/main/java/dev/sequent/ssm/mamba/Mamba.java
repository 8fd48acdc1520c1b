package dev.sequent.ssm.mamba;

import dev.sequent.autograd.Split;
import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.fused.conv.CausalConv;
import dev.sequent.mixer.RecurrentMixer;
import dev.sequent.mixer.RecurrentState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateCost;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.nn.Layer;
import dev.sequent.nn.Linear;
import dev.sequent.nn.Norm;
import dev.sequent.nn.Parameter;
import dev.sequent.nn.RmsNorm;
import dev.sequent.op.UnaryOp;
import dev.sequent.ssm.scan.SelectiveScan;
import dev.sequent.ssm.scan.TokenStepKernel;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.List;

/**
 * Mamba-1: a state-space layer whose step size and input and output matrices depend on the token.
 *
 * <pre>{@code
 * x, z        = in_proj(input)                    (B, T, E) each
 * u           = SiLU(conv1d(x))                   causal, depthwise, K taps
 * dt, B, C    = x_proj(u)                         (B, T, R), (B, T, N), (B, T, N); each RMS-normalised where configured (Jamba)
 * y           = scan(u, dt_proj(dt), -exp(A_log), B, C, D) SiLU(z)
 * output      = out_proj(y)                       (B, T, D)
 * }</pre>
 *
 * <p>State: the last K - 1 inputs of the convolution, (B, K - 1, E), and h of the scan, (B, E, N), which does not grow with the sequence.
 * Time O(T), and O(1) per generated token. A, D and h are F32 at least. Parameters: {@code in_proj.weight}, {@code conv1d.weight} (E, 1,
 * K), {@code conv1d.bias}, {@code x_proj.weight}, {@code dt_proj.weight}, {@code dt_proj.bias}, {@code A_log} (E, N), {@code D} (E),
 * {@code out_proj.weight}, and where configured the projections' biases and {@code dt_layernorm.weight} (R), {@code b_layernorm.weight},
 * {@code c_layernorm.weight} (N).
 *
 * @see <a href="https://arxiv.org/abs/2312.00752">Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces</a>
 */
public final class Mamba extends RecurrentMixer {
    private final MambaConfig config;
    private final int width;
    private final int inner;
    private final int rank;
    private final Linear inProj;
    private final ShortConv conv1d;
    private final Linear xProj;
    private final Norm dtNorm;
    private final Norm bNorm;
    private final Norm cNorm;
    private final Linear dtProj;
    private final Parameter aLog;
    private final Parameter skip;
    private final Linear outProj;

    /** The layer's depthwise convolution: parameters only. */
    private static final class ShortConv extends Layer {
        final Parameter weight;
        final Parameter bias;

        /** PyTorch's default initial values: uniform in +-1/sqrt(K). */
        ShortConv(Init init, int channels, int taps, boolean hasBias) {
            weight = param("weight", init.kaiming(taps, channels, 1, taps));
            bias = hasBias ? param("bias", init.kaiming(taps, channels), Parameter.Flag.NO_DECAY) : null;
        }
    }

    /**
     * A mixer with fresh parameters, initialised as in the reference implementation.
     *
     * @param width D
     * @param layers number of layers of the model
     */
    public Mamba(MambaConfig config, int width, int layers, Init init) {
        if (width < 1 || layers < 1) {
            throw new ConfigException(MambaConfig.TYPE, "a width and a number of layers of at least 1", width + " and " + layers);
        }
        this.config = config;
        this.width = width;
        this.inner = config.inner(width);
        this.rank = config.rank(width);
        int states = config.state_size();
        Init wide = init.withDType(wide(init.dtype()));
        inProj = child("in_proj", new Linear(init, width, 2L * inner, config.use_bias()));
        conv1d = child("conv1d", new ShortConv(init, inner, config.conv_kernel(), config.use_conv_bias()));
        xProj = child("x_proj", new Linear(init, inner, rank + 2L * states, false));
        dtNorm = norm("dt_layernorm", rank, init);
        bNorm = norm("b_layernorm", states, init);
        cNorm = norm("c_layernorm", states, init);
        dtProj = child("dt_proj", new Linear(stepWeight(init), stepBias(init)));
        aLog = param("A_log", wide.make(() -> Tensor.arange(init.device(), wide.dtype(), states).add(1).log()
                .broadcastTo(Shape.of(inner, states))), Parameter.Flag.NO_DECAY, Parameter.Flag.KEEP_F32);
        skip = param("D", wide.constant(1, inner), Parameter.Flag.NO_DECAY, Parameter.Flag.KEEP_F32);
        outProj = child("out_proj", new Linear(outWeight(init, layers), config.use_bias() ? init.kaiming(inner, width) : null));
    }

    /** A norm of selected values, or null where none is configured. */
    private Norm norm(String name, int size, Init init) {
        return config.select_norm_eps() == 0 ? null : child(name, new RmsNorm(init, size, config.select_norm_eps()));
    }

    private static Tensor normalise(Norm norm, Tensor x) {
        return norm == null ? x : norm.forward(x);
    }

    private Tensor stepWeight(Init init) {
        double bound = config.time_step_scale() / Math.sqrt(rank);
        return config.time_step_init_scheme().equals("random") ? init.uniform(-bound, bound, inner, rank)
                : init.constant(bound, inner, rank);
    }

    /** The inverse softplus of step sizes drawn uniformly in their logarithm. */
    private Tensor stepBias(Init init) {
        DType wide = wide(init.dtype());
        return init.make(() -> {
            Tensor log = init.rng().uniform(init.device(), wide, Math.log(config.time_step_min()), Math.log(config.time_step_max()), inner);
            Tensor step = log.exp().clamp(config.time_step_floor(), Double.POSITIVE_INFINITY);
            // x = step + log(1 - e^-step)
            return step.add(step.neg().unary(UnaryOp.EXPM1).neg().log());
        });
    }

    private Tensor outWeight(Init init, int layers) {
        double bound = 1 / Math.sqrt(inner) / (config.rescale_prenorm_residual() ? Math.sqrt(layers) : 1);
        return init.uniform(-bound, bound, width, inner);
    }

    private static DType wide(DType dtype) {
        return dtype == DType.F64 ? DType.F64 : DType.F32;
    }

    /** What this mixer was made from. */
    public MambaConfig config() {
        return config;
    }

    @Override
    public int width() {
        return width;
    }

    @Override
    public List<RecurrentState.Slot> stateLayout(StateSpec spec) {
        return List.of(new RecurrentState.Slot("conv", Shape.of(spec.batch(), config.conv_kernel() - 1, inner), spec.dtype()),
                new RecurrentState.Slot("ssm", Shape.of(spec.batch(), inner, config.state_size()), wide(spec.dtype())));
    }

    @Override
    public Carried scan(Tensor x, SequenceInfo info, List<Tensor> state) {
        DType dtype = x.dtype();
        DType wide = wide(dtype);
        int states = config.state_size();
        Tensor[] halves = inProj.pieces(x, inner, inner); // (B, T, E) each
        Tensor convBias = conv1d.bias == null ? null : conv1d.bias.value().cast(wide);
        CausalConv.Result conv = CausalConv.apply(halves[0].cast(wide), conv1d.weight.value().cast(wide), convBias, true,
                state == null ? null : state.get(0).cast(wide), info.flags()); // (B, T, E)
        Tensor[] selected = Split.apply(xProj.forward(conv.y().cast(dtype)), -1, rank, states, states); // (B, T, R), (B, T, N), (B, T, N)
        Tensor delta = Linear.project(normalise(dtNorm, selected[0]), dtProj.weight().value()); // (B, T, E)
        SelectiveScan.Result scan = SelectiveScan.apply(new SelectiveScan.Operands(conv.y(), delta.cast(wide), aLog.value().exp().neg(),
                normalise(bNorm, selected[1]).cast(wide), normalise(cNorm, selected[2]).cast(wide), skip.value(),
                dtProj.bias().value().cast(wide), true, halves[1].cast(wide), state == null ? null : state.get(1).cast(wide)),
                info.flags());
        return new Carried(output(scan.y().cast(dtype), info), List.of(conv.finalState().cast(dtype), scan.finalState()));
    }

    /** The output projection; zero at padding, where its bias would remain. */
    private Tensor output(Tensor y, SequenceInfo info) {
        Tensor projected = outProj.forward(y); // (B, T, D)
        return config.use_bias() ? info.withoutPadding(projected) : projected;
    }

    @Override
    protected Carried advance(Tensor x, List<Tensor> state) {
        return scan(x, SequenceInfo.of(x), state);
    }

    @Override
    protected Tensor overwrite(Tensor x, List<Tensor> state) {
        TokenStepKernel kernel = state.get(1).dtype() == DType.F32 ? TokenStepKernel.of(x.device()).orElse(null) : null;
        if (kernel == null) {
            return null;
        }
        DType dtype = x.dtype();
        int states = config.state_size();
        Tensor halves = inProj.forward(x).cast(DType.F32); // (B, 1, 2 E)
        Tensor window = state.getFirst().cast(DType.F32);
        Tensor u = kernel.convolve(new TokenStepKernel.Columns(halves, 0, inner), conv1d.weight.value().cast(DType.F32),
                conv1d.bias == null ? null : conv1d.bias.value().cast(DType.F32), window); // (B, 1, E)
        if (window != state.getFirst()) {
            state.getFirst().write(window.cast(state.getFirst().dtype()), 0, 0, 0);
        }
        Tensor selected = xProj.forward(u.cast(dtype)); // (B, 1, R + 2 N)
        Tensor delta = Linear.project(normalise(dtNorm, selected.slice(-1, 0, rank)), dtProj.weight().value()); // (B, 1, E)
        Tensor y = kernel.select(new TokenStepKernel.Selection(u, delta.cast(DType.F32), aLog.value().cast(DType.F32),
                part(bNorm, selected, rank, states), part(cNorm, selected, rank + states, states), skip.value().cast(DType.F32),
                dtProj.bias().value().cast(DType.F32), new TokenStepKernel.Columns(halves, inner, inner), state.get(1)));
        return outProj.forward(y.cast(dtype));
    }

    /** Selected values [from, from + count) in F32, normalised where {@code norm} is not null. */
    private static TokenStepKernel.Columns part(Norm norm, Tensor selected, int from, int count) {
        return norm == null ? new TokenStepKernel.Columns(selected.cast(DType.F32), from, count)
                : TokenStepKernel.Columns.of(norm.forward(selected.slice(-1, from, from + count)).cast(DType.F32));
    }

    @Override
    public Work work(Workload w) {
        double states = config.state_size();
        double taps = config.conv_kernel();
        // the convolution and SiLU; per state: step A, exp, step u B, two for h, two for y; then softplus, skip and gate
        Work conv = Work.pointwise(w, w.tokens() * inner, 2 * taps + 4, 1, 1);
        Work scan = Work.pointwise(w, w.tokens() * inner, 7 * states + 15, 3 + 2 * states / inner, 1);
        Work carried = Work.state(w, (taps - 1) * inner * w.elementBytes() + inner * states * wide(w.dtype()).bytes());
        Work step = Work.linear(w, w.tokens(), rank, inner);
        Work norms = dtNorm == null ? Work.NONE : Norm.work(w, rank + 2 * states, false);
        return inProj.work(w).plus(conv).plus(xProj.work(w)).plus(step).plus(norms).plus(scan).plus(outProj.work(w)).plus(carried);
    }

    @Override
    public StateCost cost(StateSpec spec) {
        long states = config.state_size();
        long bytes = (config.conv_kernel() - 1L) * inner * spec.dtype().bytes() + inner * states * wide(spec.dtype()).bytes();
        long parameters = parameters().stream().mapToLong(p -> p.value().size() * p.value().dtype().bytes()).sum();
        return new StateCost(bytes, 0, parameters);
    }
}
