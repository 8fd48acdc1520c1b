package dev.sequent.fused.linear;

import dev.sequent.fused.HostTensors;
import dev.sequent.spi.MatmulProvider;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** {@link ProductSumKernel} by the backend's provider of matrix products, where that takes a product; else as two operations. */
final class ProductSumCpu implements ProductSumKernel {
    private final HostTensors host;

    ProductSumCpu(HostTensors host) {
        this.host = host;
    }

    @Override
    public String name() {
        return "product sum";
    }

    @Override
    public Optional<String> refusal(Tensor x) {
        return HostTensors.refusal(x);
    }

    @Override
    public Tensor add(Tensor sum, Tensor a, Tensor b) {
        int m = Math.toIntExact(a.dim(0));
        int n = Math.toIntExact(b.dim(1));
        int k = Math.toIntExact(a.dim(1));
        MatmulProvider.Matmul provider = host.matmulProvider().orElse(null);
        if (provider == null || !provider.accepts(m, n, k, Float.BYTES) || !host.isDense(sum)) {
            return sum.add(a.matmul(b));
        }
        // as the backend does for products that stand alone
        boolean rounded = host.products() == DType.BF16 && provider.accepts(m, n, k, DType.BF16.bytes());
        MemorySegment left = host.read(a);
        MemorySegment right = host.read(b);
        MemorySegment target = host.read(sum);
        if (rounded) {
            provider.gemmRounded(false, false, m, n, k, left, k, right, n, 1, target, n);
        } else {
            provider.gemmF32(false, false, m, n, k, left, k, right, n, 1, target, n);
        }
        return sum;
    }
}
