package dev.sequent.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.service.ServiceFile;
import dev.sequent.service.Warnings;
import dev.sequent.type.ConfigException;
import java.io.IOException;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MixersTest {
    @TempDir
    Path directory;

    @Test
    void brokenProviderHidesNoOther() throws IOException {
        try (URLClassLoader loader = ServiceFile.loader(directory, MixerProvider.class, "no.such.Provider");
                Warnings warnings = new Warnings("dev.sequent.mixer")) {
            assertThat(Mixers.parse(loader, LeakyIntegrator.Config.TYPE, Map.of("channels", 3))).isEqualTo(new LeakyIntegrator.Config(3));
            assertThatThrownBy(() -> Mixers.parse(loader, "retention", Map.of())).isInstanceOf(ConfigException.class)
                    .hasMessageContaining("'retention'").hasMessageContaining(LeakyIntegrator.Config.TYPE)
                    .hasMessageContaining("no.such.Provider");
            assertThat(warnings.messages()).isNotEmpty().allMatch(m -> m.contains("no.such.Provider"));
        }
    }
}
