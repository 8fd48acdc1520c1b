package dev.sequent.ssm.mamba2;

import dev.sequent.autograd.Split;
import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.fused.conv.CausalConv;
import dev.sequent.fused.glu.Swiglu;
import dev.sequent.fused.norm.Normalize;
import dev.sequent.mixer.RecurrentMixer;
import dev.sequent.mixer.RecurrentState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateCost;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.nn.Layer;
import dev.sequent.nn.Linear;
import dev.sequent.nn.Parameter;
import dev.sequent.op.UnaryOp;
import dev.sequent.ssm.scan.StateSpaceDual;
import dev.sequent.ssm.scan.TokenStepKernel;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.List;

/**
 * Mamba-2: a state-space layer of heads, each with one decay a token, whose input and output matrices are shared by groups of heads.
 *
 * <pre>{@code
 * z, xBC, dt  = in_proj(input)                     (B, T, E), (B, T, E + 2 G N), (B, T, H)
 * x, B, C     = SiLU(conv1d(xBC))                  causal, depthwise, K taps; (B, T, H, P), (B, T, G, N) twice
 * dt          = clamp(softplus(dt + dt_bias), time_step_limit)
 * h_t         = exp(-exp(A_log) dt_t) h_{t-1} + dt_t x_t B_t^T,  y_t = h_t C_t + D x_t
 * output      = out_proj(norm.weight RMSNorm(y SiLU(z)))         (B, T, D)
 * }</pre>
 *
 * <p>The norm is taken over the channels of each group, as the authors do it, or over all of E, as Hugging Face's Mamba2 does it
 * ({@link Mamba2Config#norm_per_group}); checkpoints do not say which they were trained with, and for one group there is no difference. The
 * limits of the step size hold in every form, also in {@link #step}, where the authors' implementation ignores them.
 *
 * <p>State: the last K - 1 inputs of the convolution, (B, K - 1, E + 2 G N), and h, (B, H, P, N), which does not grow with the sequence.
 * Time O(T), and O(1) per generated token. A, D, step sizes and h are F32 at least. Parameters: {@code in_proj.weight},
 * {@code conv1d.weight} (E + 2 G N, 1, K), {@code conv1d.bias}, {@code dt_bias} (H), {@code A_log} (H), {@code D} (H), {@code norm.weight}
 * (E), {@code out_proj.weight}, and the projections' biases where configured.
 *
 * @see <a href="https://arxiv.org/abs/2405.21060">Dao and Gu, Transformers are SSMs</a>
 */
public final class Mamba2 extends RecurrentMixer {
    private final Mamba2Config config;
    private final int width;
    private final int inner;
    private final int heads;
    private final Linear inProj;
    private final Weights conv1d;
    private final Parameter dtBias;
    private final Parameter aLog;
    private final Parameter skip;
    private final Weights norm;
    private final Linear outProj;

    /** Parameters of the convolution or the norm. */
    private static final class Weights extends Layer {
        final Parameter weight;
        final Parameter bias;

        Weights(Tensor weight, Tensor bias, Parameter.Flag... flags) {
            this.weight = param("weight", weight, flags);
            this.bias = bias == null ? null : param("bias", bias, Parameter.Flag.NO_DECAY);
        }
    }

    /**
     * A mixer with fresh parameters, initialised as in the authors' implementation: A uniform in [1, 16], step sizes uniform in their
     * logarithm.
     *
     * @param width D
     * @param layers number of layers of the model
     */
    public Mamba2(Mamba2Config config, int width, int layers, Init init) {
        if (width < 1 || layers < 1) {
            throw new ConfigException(Mamba2Config.TYPE, "a width and a number of layers of at least 1", width + " and " + layers);
        }
        this.config = config;
        this.width = width;
        this.inner = config.inner(width);
        this.heads = config.heads(width);
        int taps = config.conv_kernel();
        long channels = convolved();
        Init wide = init.withDType(wide(init.dtype()));
        inProj = child("in_proj", new Linear(init, width, inner + channels + heads, config.use_bias()));
        // PyTorch's default initial values: uniform in +-1/sqrt(K)
        conv1d = child("conv1d", new Weights(init.kaiming(taps, channels, 1, taps),
                config.use_conv_bias() ? init.kaiming(taps, channels) : null));
        dtBias = param("dt_bias", wide.make(() -> stepBias(wide)), Parameter.Flag.NO_DECAY, Parameter.Flag.KEEP_F32);
        aLog = param("A_log", wide.make(() -> wide.rng().uniform(wide.device(), wide.dtype(), 1.0, 16.0, heads).log()),
                Parameter.Flag.NO_DECAY, Parameter.Flag.KEEP_F32);
        skip = param("D", wide.constant(1, heads), Parameter.Flag.NO_DECAY, Parameter.Flag.KEEP_F32);
        norm = config.rms_norm() ? child("norm", new Weights(init.constant(1, inner), null, Parameter.Flag.NO_DECAY)) : null;
        outProj = child("out_proj", new Linear(outWeight(init, layers), config.use_bias() ? init.kaiming(inner, width) : null));
    }

    /** The inverse softplus of step sizes drawn uniformly in their logarithm. */
    private Tensor stepBias(Init init) {
        Tensor log = init.rng().uniform(init.device(), init.dtype(), Math.log(config.time_step_min()), Math.log(config.time_step_max()),
                heads);
        Tensor step = log.exp().clamp(config.time_step_floor(), Double.POSITIVE_INFINITY);
        // x = step + log(1 - e^-step)
        return step.add(step.neg().unary(UnaryOp.EXPM1).neg().log());
    }

    private Tensor outWeight(Init init, int layers) {
        double bound = 1 / Math.sqrt(inner) / (config.rescale_prenorm_residual() ? Math.sqrt(layers) : 1);
        return init.uniform(-bound, bound, width, inner);
    }

    private static DType wide(DType dtype) {
        return dtype == DType.F64 ? DType.F64 : DType.F32;
    }

    /** G N: columns of B, and of C. */
    private long shared() {
        return (long) config.n_groups() * config.state_size();
    }

    /** Channels of the convolution. */
    private long convolved() {
        return inner + 2 * shared();
    }

    /** What this mixer was made from. */
    public Mamba2Config config() {
        return config;
    }

    @Override
    public int width() {
        return width;
    }

    @Override
    public List<RecurrentState.Slot> stateLayout(StateSpec spec) {
        return List.of(new RecurrentState.Slot("conv", Shape.of(spec.batch(), config.conv_kernel() - 1, convolved()), spec.dtype()),
                new RecurrentState.Slot("ssm", Shape.of(spec.batch(), heads, config.head_dim(), config.state_size()), wide(spec.dtype())));
    }

    @Override
    public Carried scan(Tensor x, SequenceInfo info, List<Tensor> state) {
        DType dtype = x.dtype();
        DType wide = wide(dtype);
        long batch = x.dim(0);
        long time = x.dim(1);
        int groups = config.n_groups();
        int states = config.state_size();
        Tensor[] in = Split.apply(inProj.forward(x), -1, inner, convolved(), heads); // z (B, T, E), xBC (B, T, E + 2 G N), dt (B, T, H)
        Tensor convBias = conv1d.bias == null ? null : conv1d.bias.value().cast(wide);
        CausalConv.Result conv = CausalConv.apply(in[1].cast(wide), conv1d.weight.value().cast(wide), convBias, true,
                state == null ? null : state.get(0).cast(wide), info.flags());
        Tensor[] selected = Split.apply(conv.y(), -1, inner, shared(), shared());
        Tensor u = selected[0].reshape(batch, time, heads, config.head_dim());
        Tensor b = selected[1].reshape(batch, time, groups, states);
        Tensor c = selected[2].reshape(batch, time, groups, states);
        StateSpaceDual.Operands operands = new StateSpaceDual.Operands(u, steps(in[2].cast(wide)), aLog.value().exp().neg(), b, c,
                skip.value(), state == null ? null : state.get(1).cast(wide));
        StateSpaceDual.Result dual = StateSpaceDual.apply(operands, config.chunk_size(), info.flags());
        Tensor y = normalise(Swiglu.apply(in[0].cast(wide), dual.y().reshape(batch, time, inner)));
        return new Carried(output(y.cast(dtype), info), List.of(conv.finalState().cast(dtype), dual.finalState()));
    }

    private Tensor steps(Tensor dt) {
        Tensor steps = dt.add(dtBias.value()).softplus();
        Mamba2Config.Limit limit = config.time_step_limit();
        return limit.equals(Mamba2Config.Limit.NONE) ? steps : steps.clamp(limit.low(), limit.high());
    }

    /** The norm of gated values (B, T, E), or they themselves where none is configured. */
    private Tensor normalise(Tensor gated) {
        if (norm == null) {
            return gated;
        }
        Tensor weight = norm.weight.value().cast(gated.dtype());
        int groups = config.norm_per_group() ? config.n_groups() : 1;
        if (groups == 1) {
            return Normalize.rms(gated, weight, config.layer_norm_epsilon());
        }
        long size = inner / groups;
        Tensor ones = Tensor.ones(gated.device(), gated.dtype(), size);
        Tensor grouped = Normalize.rms(gated.reshape(gated.dim(0), gated.dim(1), groups, size), ones, config.layer_norm_epsilon());
        return grouped.reshape(gated.shape()).mul(weight);
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
        int convolved = (int) convolved();
        int shared = (int) shared();
        Tensor in = inProj.forward(x).cast(DType.F32); // z (B, 1, E), xBC (B, 1, E + 2 G N), dt (B, 1, H)
        Tensor window = state.getFirst().cast(DType.F32);
        Tensor all = kernel.convolve(new TokenStepKernel.Columns(in, inner, convolved), conv1d.weight.value().cast(DType.F32),
                conv1d.bias == null ? null : conv1d.bias.value().cast(DType.F32), window);
        if (window != state.getFirst()) {
            state.getFirst().write(window.cast(state.getFirst().dtype()), 0, 0, 0);
        }
        Mamba2Config.Limit limit = config.time_step_limit();
        Tensor gated = kernel.advance(new TokenStepKernel.Heads(new TokenStepKernel.Columns(all, 0, inner),
                new TokenStepKernel.Columns(in, inner + convolved, heads), dtBias.value().cast(DType.F32), limit.low(), limit.high(),
                aLog.value().cast(DType.F32), new TokenStepKernel.Columns(all, inner, shared),
                new TokenStepKernel.Columns(all, inner + shared, shared), skip.value().cast(DType.F32),
                new TokenStepKernel.Columns(in, 0, inner), config.n_groups(), state.get(1))); // (B, 1, E)
        return outProj.forward(normalise(gated).cast(x.dtype()));
    }

    @Override
    public Work work(Workload w) {
        double states = config.state_size();
        double taps = config.conv_kernel();
        // the convolution and SiLU; per state of the recurrence: two for dt x B, two for h, two for y; then D, gate and norm
        Work conv = Work.pointwise(w, w.tokens() * convolved(), 2 * taps + 4, 1, 1);
        Work scan = Work.pointwise(w, w.tokens() * inner, 6 * states + 2, 1 + (convolved() - inner) / (double) inner, 1)
                .plus(Work.pointwise(w, w.tokens() * heads, 10, 1, 0));
        Work gate = Work.pointwise(w, w.tokens() * inner, 12, 2, 1);
        Work carried = Work.state(w, (taps - 1) * convolved() * w.elementBytes() + inner * states * wide(w.dtype()).bytes());
        return inProj.work(w).plus(conv).plus(scan).plus(gate).plus(outProj.work(w)).plus(carried);
    }

    @Override
    public StateCost cost(StateSpec spec) {
        long states = config.state_size();
        long bytes = (config.conv_kernel() - 1L) * convolved() * spec.dtype().bytes() + inner * states * wide(spec.dtype()).bytes();
        long parameters = parameters().stream().mapToLong(p -> p.value().size() * p.value().dtype().bytes()).sum();
        return new StateCost(bytes, 0, parameters);
    }
}
