package dev.sequent.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.service.ServiceFile;
import dev.sequent.service.Warnings;
import dev.sequent.spi.Backend;
import dev.sequent.tensor.Device;
import dev.sequent.type.BackendException;
import java.io.IOException;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KernelTableTest {
    @TempDir
    Path directory;

    /** A contract that only this test knows. */
    public interface Contract extends Kernel {}

    /** A kernel of the contract. */
    public record Working(String name) implements Contract {}

    /** Offers a kernel on the reference backend. */
    public static class Sound implements KernelProvider {
        @Override
        public Class<? extends Kernel> contract() {
            return Contract.class;
        }

        @Override
        public String backend() {
            return "reference";
        }

        @Override
        public Optional<Kernel> create(Backend backend) {
            return Optional.of(new Working("sound"));
        }
    }

    /** Offers a kernel of a name that is taken. */
    public static final class Twin extends Sound {}

    /** A provider that cannot be made. */
    public static final class Exploding extends Sound {
        /** Fails. */
        public Exploding() {
            throw new IllegalStateException("constructor exploded");
        }
    }

    /** A provider that was built for another version. */
    public static final class Unlinked extends Sound {
        @Override
        public Optional<Kernel> create(Backend backend) {
            throw new NoSuchMethodError("built for another version");
        }
    }

    private URLClassLoader loader(String... names) throws IOException {
        return ServiceFile.loader(directory, KernelProvider.class, names);
    }

    @Test
    void oneBrokenProviderNeverHidesTheOthers() throws IOException {
        try (Warnings warnings = new Warnings("dev.sequent.kernel"); Device device = Device.open("reference");
                URLClassLoader loader = loader("dev.sequent.NoSuchKernels", Exploding.class.getName(), Unlinked.class.getName(),
                        Sound.class.getName())) {
            KernelTable table = new KernelTable(device, loader);
            assertThat(table.select(Contract.class, _ -> Optional.empty())).contains(new Working("sound"));
            assertThat(table.explain()).containsEntry("Contract", List.of("sound"));
            assertThat(warnings.messages()).hasSize(3);
            assertThat(warnings.messages().get(0)).contains("NoSuchKernels");
            assertThat(warnings.messages().get(1)).contains("constructor exploded");
            assertThat(warnings.messages().get(2)).contains("built for another version");
        }
    }

    @Test
    void theFirstOfTwoKernelsOfANameIsUsedAndTheWarningNamesBothProviders() throws IOException {
        try (Warnings warnings = new Warnings("dev.sequent.kernel"); Device device = Device.open("reference");
                URLClassLoader loader = loader(Sound.class.getName(), Twin.class.getName())) {
            assertThat(new KernelTable(device, loader).explain()).containsEntry("Contract", List.of("sound"));
            assertThat(warnings.messages()).singleElement().asString().contains("'sound'", Sound.class.getName(), Twin.class.getName());
        }
    }

    @Test
    void aRequiredKernelThatCouldNotBeLoadedSaysSo() throws IOException {
        String before = System.setProperty("sequent.fused", "require");
        try (Warnings _ = new Warnings("dev.sequent.kernel"); Device device = Device.open("reference");
                URLClassLoader loader = loader(Exploding.class.getName())) {
            KernelTable table = new KernelTable(device, loader);
            assertThatThrownBy(() -> table.select(Contract.class, _ -> Optional.empty())).isInstanceOf(BackendException.class)
                    .hasMessageContaining("constructor exploded");
        } finally {
            if (before == null) {
                System.clearProperty("sequent.fused");
            } else {
                System.setProperty("sequent.fused", before);
            }
        }
    }
}
