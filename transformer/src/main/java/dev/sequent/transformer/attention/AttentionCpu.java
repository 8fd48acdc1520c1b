package dev.sequent.transformer.attention;

import dev.sequent.fused.HostTensors;
import dev.sequent.fused.Simd;
import dev.sequent.spi.HostMemory.View;
import dev.sequent.spi.MatmulProvider;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Optional;

/**
 * {@link AttentionKernel} over F32 tensors in host memory; takes slices of wider tensors without copying them. Where the backend's provider
 * of matrix products has BF16 ones, it takes BF16 tensors too, and uses those products for F32 tensors of a device that rounds products.
 */
final class AttentionCpu implements AttentionKernel {
    private final HostTensors host;
    private final RawAttention attention;

    /** Null where there are no BF16 products. */
    private final RoundedAttention rounded;

    AttentionCpu(HostTensors host) {
        this.host = host;
        this.attention = Simd.choose(host.vectorised(), () -> new PanelAttention(host.parallel()),
                () -> new LoopAttention(host.parallel()));
        this.rounded = host.matmulProvider().filter(p -> host.vectorised() && hasBf16(p))
                .map(p -> new RoundedAttention(host.parallel(), p)).orElse(null);
    }

    private static boolean hasBf16(MatmulProvider.Matmul provider) {
        return provider.accepts(RoundedSizes.BLOCK, RoundedSizes.BLOCK, RoundedSizes.UNIT, DType.BF16.bytes());
    }

    @Override
    public String name() {
        return "attention/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(Tensor q, Tensor k, Tensor v) {
        if (q.dtype() == DType.BF16 && k.dtype() == DType.BF16 && v.dtype() == DType.BF16) {
            return rounded == null || !RoundedAttention.pays(AttentionSizes.of(q, k, v)) ? Optional.of("takes F32, given BF16")
                    : tooWide(q);
        }
        for (Tensor x : new Tensor[] {q, k, v}) {
            Optional<String> reason = HostTensors.refusal(x);
            if (reason.isPresent()) {
                return reason;
            }
        }
        return tooWide(q);
    }

    private static Optional<String> tooWide(Tensor q) {
        return q.dim(3) > RawAttention.MOST_CHANNELS ? Optional.of("takes at most " + RawAttention.MOST_CHANNELS + " channels per head")
                : Optional.empty();
    }

    private boolean rounds(Tensor q, AttentionSizes sizes) {
        return rounded != null && RoundedAttention.pays(sizes) && (q.dtype() == DType.BF16 || host.products() == DType.BF16);
    }

    @Override
    public Result forward(Tensor q, Tensor k, Tensor v, AttentionMask mask, double scale, boolean differentiable) {
        Tensor out = host.allocate(q);
        Tensor lse = differentiable ? host.allocate(q, DType.F32, Shape.of(q.dim(0), q.dim(2), q.dim(1))) : null;
        AttentionCall call = call(q, k, v, out, lse, mask, scale);
        if (rounds(q, call.sizes())) {
            rounded.forward(call, host.scratch(q, RoundedAttention.forwardFloats(call.sizes())));
        } else {
            attention.forward(call);
        }
        return new Result(out, lse);
    }

    @Override
    public Tensor[] backward(Tensor q, Tensor k, Tensor v, Result result, Tensor dout, AttentionMask mask, double scale) {
        Tensor dq = host.allocate(q);
        Tensor dk = host.allocate(k);
        Tensor dv = host.allocate(v);
        AttentionCall call = call(q, k, v, result.out(), result.lse(), mask, scale);
        boolean rounds = rounds(q, call.sizes());
        long workspace = rounds ? RoundedAttention.backwardFloats(call.sizes()) : Math.max(1, attention.workspaceFloats(call.sizes()));
        AttentionGradients gradients = new AttentionGradients(heads(dout), heads(dq), heads(dk), heads(dv), host.scratch(q, workspace));
        if (rounds) {
            rounded.backward(call, gradients);
        } else {
            attention.backward(call, gradients);
        }
        return new Tensor[] {dq, dk, dv};
    }

    private AttentionCall call(Tensor q, Tensor k, Tensor v, Tensor out, Tensor lse, AttentionMask mask, double scale) {
        return new AttentionCall(AttentionSizes.of(q, k, v), mask, (float) scale, heads(q), heads(k), heads(v), heads(out),
                host.readOrNull(lse));
    }

    private HeadsView heads(Tensor x) {
        View view = host.view(x);
        boolean neighbours = view.strides()[3] == 1 || x.dim(3) == 1;
        View usable = neighbours ? view : host.view(x.contiguous());
        return new HeadsView(usable.segment(), usable.strides()[0], usable.strides()[1], usable.strides()[2], x.dtype());
    }
}
