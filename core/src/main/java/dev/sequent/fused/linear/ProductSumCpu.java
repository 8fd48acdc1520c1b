package dev.sequent.fused.linear;

import dev.sequent.fused.HostTensors;
import dev.sequent.spi.MatmulProvider;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
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

    @Override
    public boolean rounds(Tensor x, Tensor weight) {
        long m = x.dim(0);
        long k = x.dim(1);
        long n = weight.dim(0);
        return host.products() == DType.BF16
                && host.matmulProvider().filter(p -> rounds(p, m, n, k) && rounds(p, m, k, n) && rounds(p, n, k, m)).isPresent();
    }

    private static boolean rounds(MatmulProvider.Matmul provider, long m, long n, long k) {
        return provider.accepts(m, n, k, Float.BYTES) && provider.accepts(m, n, k, DType.BF16.bytes());
    }

    @Override
    public Tensor addRounded(Tensor sum, Tensor a, boolean transposeA, Tensor b, boolean transposeB) {
        int m = Math.toIntExact(a.dim(transposeA ? 1 : 0));
        int k = Math.toIntExact(a.dim(transposeA ? 0 : 1));
        int n = Math.toIntExact(b.dim(transposeB ? 0 : 1));
        Tensor y = sum == null ? host.allocate(a, DType.F32, Shape.of(m, n)) : sum;
        host.matmulProvider().orElseThrow().gemmBf16(transposeA, transposeB, m, n, k, host.read(a), a.dim(1), host.read(b), b.dim(1),
                sum == null ? 0 : 1, host.read(y), n);
        return y;
    }
}
